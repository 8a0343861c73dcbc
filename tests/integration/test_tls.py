#!/usr/bin/python3
"""TLS and mTLS on the gRPC door: what is let in, what is refused at start, and renewal without a restart."""
import os, shutil, subprocess, sys, tempfile, time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import grpc
from lib.flowd import PROGRAMS, Client, Flowd, run_tests

HOSTS = "subjectAltName=DNS:localhost,IP:127.0.0.1"


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


class Authority:
    def __init__(self, directory, name):
        self.directory, self.cert, self.key = directory, directory / f"{name}.pem", directory / f"{name}.key"
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", self.key, "-out", self.cert, "-days", "30", "-subj", f"/CN={name}")

    def issue(self, name, days="30"):
        """Certificate and key for `name`, as paths."""
        cert, key, request, extra = (self.directory / f"{name}.{kind}" for kind in ("crt", "key", "csr", "ext"))
        extra.write_text(HOSTS)
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request, "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self.key, "-CAcreateserial", "-days", days,
                "-extfile", extra, "-out", cert)
        return cert, key


def connect(server, ca, cert=None, key=None):
    credentials = grpc.ssl_channel_credentials(ca.cert.read_bytes(), key and key.read_bytes(), cert and cert.read_bytes())
    return Client(server.grpc_address.split(",")[0], credentials, options=[("grpc.use_local_subchannel_pool", 1),
                                                                          ("grpc.ssl_target_name_override", "localhost")])


def serves(client):
    try:
        assert client.call("grpc.health.v1.Health/Check", timeout=20).status == 1
        return True
    except grpc.RpcError as error:
        assert error.code().name == "UNAVAILABLE", error
        return False
    finally:
        client.close()


def scratch():
    return Path(tempfile.mkdtemp(prefix="flow-tls-"))


def test_tls_on_every_address():
    ca = Authority(scratch(), "ca")
    other = Authority(scratch(), "other")
    cert, key = ca.issue("server")
    with Flowd("--tls-cert", str(cert), "--tls-key", str(key), "--grpc-listen", "0.0.0.0:0") as server:
        server.grpc_address = server.grpc_address.replace("0.0.0.0", "127.0.0.1")
        assert serves(connect(server, ca))
        assert not serves(connect(server, other))
        assert not serves(Client(server.grpc_address))  # clear text


def test_mutual_tls():
    ca, clients, strangers = Authority(scratch(), "ca"), Authority(scratch(), "clients"), Authority(scratch(), "strangers")
    cert, key = ca.issue("server")
    with Flowd("--tls-cert", str(cert), "--tls-key", str(key), "--tls-client-ca", str(clients.cert)) as server:
        assert serves(connect(server, ca, *clients.issue("alice")))
        assert not serves(connect(server, ca))
        assert not serves(connect(server, ca, *strangers.issue("mallory")))


def test_bad_files_are_named_at_start():
    directory = scratch()
    ca = Authority(directory, "ca")
    cert, key = ca.issue("server")
    _, other_key = ca.issue("other")
    expired, expired_key = ca.issue("expired", days="-1")
    garbage = directory / "garbage.pem"
    garbage.write_text("this is no certificate\n")

    def refused(says, *arguments):
        result = subprocess.run([PROGRAMS / "flowd", "--data-dir", scratch(), "--grpc-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0",
                                 *map(str, arguments)], capture_output=True, text=True, timeout=60)
        assert result.returncode == 2 and says in result.stderr, result
    refused("does not belong", "--tls-cert", cert, "--tls-key", other_key)
    refused("expired", "--tls-cert", expired, "--tls-key", expired_key)
    refused("no PEM certificate", "--tls-cert", garbage, "--tls-key", key)
    refused("no PEM private key", "--tls-cert", cert, "--tls-key", garbage)
    refused("No such file", "--tls-cert", directory / "nothing", "--tls-key", key)
    refused("no PEM certificate", "--tls-cert", cert, "--tls-key", key, "--tls-client-ca", garbage)


def replace(source, target):
    """As tools do it that renew: never a file that is half there."""
    shutil.copy(source, f"{target}.new")
    os.replace(f"{target}.new", target)


def test_renewed_files_are_used_by_new_connections():
    directory = scratch()
    old, new = Authority(scratch(), "old"), Authority(scratch(), "new")
    old_cert, old_key = old.issue("server")
    new_cert, new_key = new.issue("server")
    cert, key = directory / "cert.pem", directory / "key.pem"
    replace(old_cert, cert)
    replace(old_key, key)
    with Flowd("--tls-cert", str(cert), "--tls-key", str(key)) as server:
        kept = connect(server, old)
        assert kept.call("grpc.health.v1.Health/Check").status == 1
        # Half renewed: key and certificate don't fit, the old ones stay.
        replace(new_cert, cert)
        assert serves(connect(server, old))
        assert not serves(connect(server, new))
        assert "the old ones stay" in server.log()
        replace(new_key, key)
        assert serves(connect(server, new))
        assert not serves(connect(server, old))
        # Connections that are there go on.
        assert kept.call("grpc.health.v1.Health/Check").status == 1
        kept.close()
        for _ in range(10):
            assert serves(connect(server, new))
        # Gone for a moment: no harm.
        os.unlink(cert)
        assert serves(connect(server, new))
        replace(new_cert, cert)
        assert serves(connect(server, new))


if __name__ == "__main__":
    run_tests(globals())
