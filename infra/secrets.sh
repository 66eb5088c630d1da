#!/bin/sh
# Makes the secrets of infra/compose: random ones, a file each, mode 0600. Those that are there stay.
#   infra/secrets.sh [FOLDER]       the default is infra/compose/secrets
set -eu
umask 077
folder=${1:-$(dirname "$0")/compose/secrets}
mkdir -p "$folder"
uid=$(id -u)
[ "$uid" -ne 0 ] || uid=1000 # the image's user is not root, whoever starts it
for name in postgres_password mlflow_db_password mlflow_admin_password mlflow_secret_key auth_token; do
    if [ ! -s "$folder/$name" ]; then
        head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' > "$folder/$name.new"
        mv "$folder/$name.new" "$folder/$name"
    fi
    [ "$(id -u)" -ne 0 ] || chown "$uid" "$folder/$name"
done
settings=$folder/../.env # compose reads it; lines that are there stay
grep -q '^AUTOML_UID=' "$settings" 2>/dev/null || echo "AUTOML_UID=$uid" >> "$settings"
echo "$folder: $(find "$folder" -type f | wc -l) secrets. MLflow's login: admin, with what is in mlflow_admin_password."
