# The sweep in a container: on one machine, and as the image of a cluster. It needs no rights, and
# runs under any user id.
#
#   docker build -t medical-sweep:0.1.0 .
#   docker run --rm --user "$(id -u):$(id -g)" --shm-size 2g -v "$PWD:/work" medical-sweep:0.1.0 \
#     sweep run search_spaces/quickstart.yaml       # with GPUs also: --gpus all
#
# torch brings its own CUDA, so the base needs none. For a much smaller image, without GPUs:
#   docker build --build-arg PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu …
FROM python:3.11-slim

# KubeRay asks with wget whether Ray lives.
RUN apt-get update && apt-get install -y --no-install-recommends wget && rm -rf /var/lib/apt/lists/*

ARG RAY=2.60.0
ARG PIP_EXTRA_INDEX_URL
COPY pyproject.toml README.md LICENSE /src/
COPY sweep /src/sweep
COPY search_spaces /src/search_spaces
COPY examples /src/examples
RUN pip install --no-cache-dir "ray[default,tune]==${RAY}" '/src[brain,cmaes,gpu,page,tensorboard]' \
    && rm -r /src

# A user id without an entry in /etc/passwd has no home folder.
RUN useradd --create-home --uid 1000 sweep
ENV HOME=/tmp
USER 1000
WORKDIR /work
CMD ["sweep", "--help"]
