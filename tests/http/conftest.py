import resource

import pytest

from heed import Server

# A thousand connections here, a thousand in the server.
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard != resource.RLIM_INFINITY else 65536, hard))


@pytest.fixture
def serve(tmp_path):
    """serve(option=value...) starts a server; each is stopped and checked at the end of the test."""
    servers = []

    def start(**config):
        folder = tmp_path / f"server{len(servers)}"
        folder.mkdir()
        server = Server(folder, **config)
        servers.append(server)
        return server.wait_ready()

    yield start
    failures = []
    for server in servers:
        if getattr(server, "ended", False):
            continue
        try:
            server.stop()
        except AssertionError as failure:
            failures.append(str(failure))
    assert not failures, "\n".join(failures)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One server with the default configuration for the tests of a file that leave it as it was."""
    running = Server(tmp_path_factory.mktemp("server")).wait_ready()
    yield running
    running.stop()
