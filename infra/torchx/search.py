"""A TorchX component: one search as a TorchX app. Knows how a search is started; nothing of what it does.

torchx run -s local_cwd infra/torchx/search.py:search --file search_spaces/digits.yaml
"""

# TorchX reads the annotations as they are: no `from __future__ import annotations` here.
import torchx.specs as specs

IMAGE = "automl:0.1.0-ray2.60.0-cpu"


def search(
    file: str,
    *arguments: str,
    engine: str = "ray",
    address: str = "",
    python: str = "python",
    image: str = IMAGE,
    cpu: int = 4,
    gpu: int = 0,
    memMB: int = 8192,
    retries: int = 3,
    env: dict[str, str] | None = None,
) -> specs.AppDef:
    """Runs a search, or carries on with one that was stopped.

    Args:
        file: the search file, as in `automl search FILE`
        arguments: more arguments of `automl search`, after `--`: --set=budget.trials=50
        engine: ray or local
        address: of a Ray cluster, HOST:PORT; without one, a Ray of its own
        python: the interpreter that automl is installed in
        image: the container's image, where the scheduler knows images
        cpu: CPUs of the container
        gpu: GPUs of the container
        memMB: memory of the container, in MB
        retries: how often it is started again when it fails: each start carries on from the ledger
        env: environment, such as AUTOML_LEDGER=...; secrets belong into the scheduler's own
    """
    args = ["-m", "automl", "search", file, "--engine", engine]
    if address:
        args += ["--address", address]
    role = specs.Role(
        name="search",
        image=image,
        entrypoint=python,
        args=[*args, *arguments],
        env=dict(env or {}),
        max_retries=retries,
        retry_policy=specs.RetryPolicy.APPLICATION,
        resource=specs.Resource(cpu=cpu, gpu=gpu, memMB=memMB),
    )
    return specs.AppDef(name="search", roles=[role])
