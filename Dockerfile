# Two images: `service`, the default, holds pendo-consumer alone; `sandbox` holds the simulated Pendo and the traffic.

# Any image with Python 3.11 or newer and pip as `python`, such as a copy of this one on a registry of yours.
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS wheel
WORKDIR /src
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
COPY lock/build.txt lock/
RUN pip install --require-hashes --requirement lock/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY consumer consumer
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /wheels .

FROM ${PYTHON_IMAGE} AS build
WORKDIR /src
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_PYTHON=/opt/venv/bin/python
RUN python -m venv --without-pip /opt/venv
COPY lock/service.txt lock/
RUN pip install --require-hashes --only-binary :all: --requirement lock/service.txt
COPY --from=wheel /wheels /wheels
RUN pip install --no-deps --no-index /wheels/*.whl

# What is in the image, package by package, as CycloneDX.
FROM wheel AS sbom
COPY --from=build /opt/venv /opt/venv
RUN cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --output-file /sbom.cdx.json /opt/venv

FROM build AS build-sandbox
COPY lock/sandbox.txt lock/
RUN pip install --require-hashes --only-binary :all: --requirement lock/sandbox.txt

FROM ${PYTHON_IMAGE} AS base
# What installs software has no business where only the service runs.
RUN pip uninstall --yes --root-user-action ignore pip setuptools wheel
ENV PATH=/opt/venv/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
STOPSIGNAL SIGTERM
# Numeric, so that Kubernetes' runAsNonRoot can tell.
USER 10001:10001
WORKDIR /tmp

FROM base AS sandbox
LABEL org.opencontainers.image.title="pendo-consumer sandbox" \
      org.opencontainers.image.description="Simulated Pendo and Segment traffic, to try pendo-consumer with." \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build-sandbox /opt/venv /opt/venv
EXPOSE 9000
CMD ["python", "-m", "consumer.sandbox.simulator", "--host", "0.0.0.0", "--port", "9000"]

FROM base AS service
ARG PYTHON_IMAGE
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="pendo-consumer" \
      org.opencontainers.image.description="Delivers Segment events from a Kafka topic to Pendo." \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${PYTHON_IMAGE}" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=sbom /sbom.cdx.json /usr/share/sbom/pendo-consumer.cdx.json
COPY --from=build /opt/venv /opt/venv
EXPOSE 8080
# Straight to the service, whatever proxy the environment names. A port set in a file instead of here needs its own check.
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as r; r.build_opener(r.ProxyHandler({})).open('http://127.0.0.1:' + os.environ.get('PENDO_CONSUMER_HTTP__PORT', '8080') + '/livez', timeout=4)"]
ENTRYPOINT ["pendo-consumer"]
CMD ["run"]
