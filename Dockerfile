# Two images: `service`, the default, holds pendo-consumer alone; `sandbox` holds the simulated Pendo and the traffic.

FROM python:3.11-slim-bookworm AS wheel
WORKDIR /src
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
COPY lock/dev.txt lock/
RUN pip install --require-hashes --requirement lock/dev.txt
COPY pyproject.toml README.md LICENSE ./
COPY consumer consumer
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /wheels .

FROM python:3.11-slim-bookworm AS build
WORKDIR /src
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_PYTHON=/opt/venv/bin/python
RUN python -m venv --without-pip /opt/venv
COPY lock/service.txt lock/
RUN pip install --require-hashes --only-binary :all: --requirement lock/service.txt
COPY --from=wheel /wheels /wheels
RUN pip install --no-deps --no-index /wheels/*.whl

FROM build AS build-sandbox
COPY lock/sandbox.txt lock/
RUN pip install --require-hashes --only-binary :all: --requirement lock/sandbox.txt

FROM python:3.11-slim-bookworm AS base
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
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="pendo-consumer" \
      org.opencontainers.image.description="Delivers Segment events from a Kafka topic to Pendo." \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /opt/venv /opt/venv
EXPOSE 8080
# Straight to the service, whatever proxy the environment names. A port set in a file instead of here needs its own check.
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as r; r.build_opener(r.ProxyHandler({})).open('http://127.0.0.1:' + os.environ.get('PENDO_CONSUMER_HTTP__PORT', '8080') + '/livez', timeout=4)"]
ENTRYPOINT ["pendo-consumer"]
CMD ["run"]
