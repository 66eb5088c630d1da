#!/bin/sh
# Reads secrets from files: for each NAME_FILE=/run/secrets/..., NAME is set for the command alone.
# Then becomes the command.
set -eu
folder=${SECRETS:-/run/secrets}
if [ $# -eq 0 ]; then
    echo "entrypoint: no command was given. Try: automl doctor" >&2
    exit 2
fi
for name in $(env | sed -n "s|^\([A-Z][A-Z0-9_]*\)_FILE=$folder/.*|\1|p"); do
    eval "file=\$${name}_FILE"
    if [ ! -r "$file" ]; then
        echo "entrypoint: ${name}_FILE: $file cannot be read by user $(id -u). Make it with" \
            "infra/secrets.sh, and build the image with --build-arg UID= its owner." >&2
        exit 2
    fi
    export "$name=$(cat "$file")"
    unset "${name}_FILE"
done
exec "$@"
