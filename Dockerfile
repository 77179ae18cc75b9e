# The two images of docker-compose.yml:
#
#   intake      Souk: the gRPC API server, scripts/deploy_functions, the souk command
#   functions   Pulsar and its functions worker, with everything that the functions import
#
# Both use one Python, one Debian and one locked set of packages, the same that are measured and
# tested without Docker (scripts/stack). So `functions` is not FROM apachepulsar/pulsar: that image
# is Alpine with another Python, linked against musl, and its Pulsar lacks the native libraries for
# anything but musl, so it cannot even be copied from. Here the same release is downloaded as by
# scripts/stack, and compared with the digest that Apache published. scripts/check_wheels says
# whether every locked package has a wheel for both.

ARG PYTHON=python:3.11.14-slim-bookworm


FROM ${PYTHON} AS base
# The slim Debian lacks the folder for manuals that Java's package needs to install.
RUN mkdir --parents /usr/share/man/man1 \
 && apt-get update \
 && apt-get install --yes --no-install-recommends tini \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 10001 souk \
 && useradd --uid 10001 --gid souk --home-dir /var/lib/souk --create-home souk
ENV PATH=/opt/souk/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 GRPC_VERBOSITY=NONE
ENTRYPOINT ["tini", "--"]


# Only the locked packages. One of them is source only; the package that builds it is locked, too.
FROM base AS packages
COPY requirements.lock /tmp/
RUN python3 -m venv /opt/souk \
 && sed -n '/^setuptools==/,/# via/p' /tmp/requirements.lock >/tmp/setuptools.lock \
 && for lock in setuptools requirements; do \
      pip install --no-cache-dir --no-build-isolation --require-hashes -r /tmp/$lock.lock || exit 1; \
    done \
 && python -m compileall -q /opt/souk


FROM base AS intake
COPY --from=packages /opt/souk /opt/souk
WORKDIR /souk
COPY . .
# Editable: the wheel that is deployed is built from this tree, in .cache.
RUN pip install --no-cache-dir --no-deps --no-build-isolation --editable . \
 && python -m compileall -q cmd functions internal \
 && install --directory --owner souk --group souk .cache
COPY --chmod=755 cmd/healthy.py /usr/local/bin/healthy
USER souk
VOLUME /var/lib/souk
EXPOSE 50051 9464
CMD ["python", "cmd/start.py", "--full"]


# Pulsar's own release, with the configuration of the stack. Downloaded again only if its version, or
# the code that downloads it, changes.
FROM packages AS pulsar
RUN apt-get update && apt-get install --yes --no-install-recommends maven
WORKDIR /build
COPY internal/__init__.py internal/
COPY internal/kernel internal/kernel
COPY internal/stack/__init__.py internal/stack/distribution.py internal/stack/prerequisites.py internal/stack/
RUN python -c 'import pathlib; from internal.stack import distribution; \
               distribution.ready(print, cache=pathlib.Path("/download"))' \
 && mv /download/pulsar-* /pulsar
COPY internal internal
RUN python -c 'import pathlib; from internal.stack import container; \
               container.configure(pathlib.Path("/pulsar"))'


FROM base AS functions
RUN apt-get update \
 && apt-get install --yes --no-install-recommends openjdk-17-jre-headless \
 && rm -rf /var/lib/apt/lists/*
COPY --from=packages /opt/souk /opt/souk
COPY --from=pulsar /pulsar /pulsar
RUN install --directory --owner souk --group souk /pulsar/data /pulsar/logs
COPY --chmod=755 cmd/healthy.py /usr/local/bin/healthy
# Without it a killed broker may not start again.
COPY internal/stack/stale_bookies.py /usr/local/lib/stale_bookies.py
WORKDIR /pulsar
USER souk
VOLUME ["/pulsar/data", "/pulsar/logs", "/var/lib/souk"]
EXPOSE 6650 8080
CMD ["sh", "-c", "python /usr/local/lib/stale_bookies.py . data/metadata && exec bin/pulsar standalone"]
