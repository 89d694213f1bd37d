"""Ten thousand certificates in one worker: load, memory until first used, lookup, and the first handshake.

    python -m benchmarks.certificates [--count 10000]

In this process alone, without sockets: what a worker does with the certificates of a generation.
"""

from __future__ import annotations

import argparse
import datetime
import gc
import time
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from benchmarks.machine import describe
from config.tls import StoredCertificate
from tls.contexts import build_context
from workers.tls_state import TLSChanges, TLSState

LOOKUPS = 20_000


def issue(name: str) -> tuple[bytes, bytes]:
    """A self-signed ECDSA P-256 certificate for one name and its key, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return (
        certificate.public_bytes(Encoding.PEM),
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )


def resident_kib() -> int:
    """Memory of this process that is not shared with a file."""
    return next(
        int(line.split()[1])
        for line in Path("/proc/self/status").read_text().splitlines()
        if line.startswith("RssAnon")
    )


def lookup_ns(state: TLSState, names: list[str]) -> float:
    """Nanoseconds of CPU to find the certificate of one name."""
    find = state.store.find
    began = time.process_time()
    for turn in range(LOOKUPS):
        find(names[turn % len(names)])
    return (time.process_time() - began) / LOOKUPS * 1e9


def load(names: list[str]) -> TLSState:
    """What a worker keeps; the changes that it came from are gone afterwards. Prints what it cost."""
    pairs = {}
    for name in names:
        chain, key = (half.decode() for half in issue(name))
        pairs[f"default/{name}"] = StoredCertificate(cert_file=chain, key_file=key)
    gc.collect()
    before, began = resident_kib(), time.process_time()
    state, _ = TLSState().updated(TLSChanges(certificates=dict(pairs)), lambda: None)
    spent = time.process_time() - began
    kept = (resident_kib() - before) / len(names)
    print(f"load: {spent:.2f} s CPU, {spent / len(names) * 1e6:.0f} µs and {kept:.1f} KiB each")
    return state


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    count: int = parser.parse_args().count
    print(describe())
    small = load([f"few{number}.bench.example" for number in range(10)])
    names = [f"host{number}.bench.example" for number in range(count)]
    state = load(names)
    few = [name for certificate in small.store.certificates for name in certificate.names]
    among_few, among_all = lookup_ns(small, few), lookup_ns(state, names)
    print(f"lookup: {among_few:.0f} ns among {len(few)}, {among_all:.0f} ns among {count}")
    began = time.process_time()
    for name in names[:200]:
        bundle = state.store.find(name)
        assert bundle is not None
        build_context(state.settings["default"], bundle)
    print(f"first use: {(time.process_time() - began) / min(count, 200) * 1e6:.0f} µs to make a context")
    began = time.process_time()
    chain, key = (half.decode() for half in issue("renewed.bench.example"))
    changes = TLSChanges(certificates={"default/renewed": StoredCertificate(cert_file=chain, key_file=key)})
    state.updated(changes, lambda: None)
    print(f"one more among {count}: {(time.process_time() - began) * 1e3:.2f} ms CPU")


if __name__ == "__main__":
    main()
