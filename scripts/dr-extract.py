#!/usr/bin/env python3
"""Reads a dr repository without dr: written from FORMAT.md (format 1) and nothing else.

Needs Python 3.11, cryptography and zstandard (Debian: python3-cryptography python3-zstandard).
Runbooks/without-dr.md is for whoever is in need of it.
"""
import argparse, json, os, stat, struct, sys
from functools import lru_cache
from urllib.parse import quote

import zstandard
try:
    import blake3 as fast_blake3
except ImportError:
    fast_blake3 = None
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hmac
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

# FORMAT.md, section 10.
CHUNK, FRAME, FRAMES, CHUNKS, PACK = 1 << 18, 4 << 20, 4096, 1 << 18, 256 << 20
RECORD, PLAIN, DEPTH, REFERENCES, ENTRY, LENGTH = 64 << 20, 1 << 20, 7, 4096, 16 << 20, (1 << 63) - 1
PROBLEMS = []
BLAKE3_IV = 0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A
BLAKE3_ORDER = 2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8
BLAKE3_MIXES = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15),
                (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))


class Damage(Exception):
    """Something is not as FORMAT.md says, or was sealed with another key."""


def need(condition, message):
    if not condition:
        raise Damage(message)


def complain(problem):
    PROBLEMS.append(problem)
    print(f"dr-extract: {problem}", file=sys.stderr)


def hkdf(key, salt, info, length=32):
    return HKDF(algorithm=SHA256(), length=length, salt=salt, info=info).derive(key)


def hpke_open(private, encapsulated, info, psk, psk_id, sealed):
    """RFC 9180, mode PSK: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM; the first message."""
    def extract(suite, salt, label, secret):
        mac = hmac.HMAC(salt or bytes(32), SHA256())
        mac.update(b"HPKE-v1" + suite + label + secret)
        return mac.finalize()

    def expand(suite, key, label, context, length):
        labelled = struct.pack(">H", length) + b"HPKE-v1" + suite + label + context
        return HKDFExpand(algorithm=SHA256(), length=length, info=labelled).derive(key)

    kem, suite = b"KEM\x00\x20", b"HPKE\x00\x20\x00\x01\x00\x02"
    own = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    shared = private.exchange(X25519PublicKey.from_public_bytes(encapsulated))
    shared = expand(kem, extract(kem, b"", b"eae_prk", shared), b"shared_secret", encapsulated + own, 32)
    context = b"\1" + extract(suite, b"", b"psk_id_hash", psk_id) + extract(suite, b"", b"info_hash", info)
    secret = extract(suite, shared, b"secret", psk)
    return AESGCM(expand(suite, secret, b"key", context, 32)).decrypt(
        expand(suite, secret, b"base_nonce", context, 12), sealed, b"")


def blake3_compress(cv, block, counter, flags):
    v = [*cv, *BLAKE3_IV[:4], counter & 0xFFFFFFFF, counter >> 32, len(block), flags]
    m = struct.unpack("<16I", block.ljust(64, b"\0"))
    for _ in range(7):
        for (a, b, c, d), x, y in zip(BLAKE3_MIXES, m[::2], m[1::2]):
            for word, far, near in (x, 16, 12), (y, 8, 7):
                v[a] = v[a] + v[b] + word & 0xFFFFFFFF
                turned = v[d] ^ v[a]
                v[d] = turned >> far | turned << 32 - far & 0xFFFFFFFF
                v[c] = v[c] + v[d] & 0xFFFFFFFF
                turned = v[b] ^ v[c]
                v[b] = turned >> near | turned << 32 - near & 0xFFFFFFFF
        m = [m[each] for each in BLAKE3_ORDER]
    return [low ^ high for low, high in zip(v[:8], v[8:])]


def blake3(key, data):
    """BLAKE3 of `data` in keyed mode: right and, without the package, slow (a third of a MB a second)."""
    if fast_blake3:
        return fast_blake3.blake3(data, key=key).digest()
    words, level = struct.unpack("<8I", key), []
    for number in range(max(1, -(-len(data) // 1024))):
        leaf, cv = data[number * 1024:number * 1024 + 1024], words
        for at in range(0, max(1, len(leaf)), 64):
            flags = 16 | (1 if at == 0 else 0) | (2 if at + 64 >= len(leaf) else 0)
            root = 8 if flags & 2 and len(data) <= 1024 else 0
            cv = blake3_compress(cv, leaf[at:at + 64], number, flags | root)
        level.append(struct.pack("<8I", *cv))
    while len(level) > 1:
        pairs = [level[at:at + 2] for at in range(0, len(level), 2)]
        level = [struct.pack("<8I", *blake3_compress(words, b"".join(pair), 0, 20 | (8 if len(level) == 2 else 0)))
                 if len(pair) == 2 else pair[0] for pair in pairs]
    return level[0]


def unseal(key, nonce, sealed, associated, what):
    try:
        return AESGCM(key).decrypt(nonce, sealed, associated)
    except InvalidTag:
        raise Damage(f"{what}: damaged, or sealed with another key") from None


def inflate(data, limit, what):
    """What the one zstd frame `data` holds; its size is checked before memory is taken for it."""
    try:
        size = zstandard.frame_content_size(data)
        need(0 <= size <= limit, f"{what}: claims to be {size} bytes long")
        return zstandard.ZstdDecompressor().decompress(data, max_output_size=size) if size else b""
    except zstandard.ZstdError as error:
        raise Damage(f"{what}: {error}") from None


def number_nonce(number):
    return struct.pack(">4xQ", number)


class Bytes:
    """Takes values off the front of pieces of bytes."""

    def __init__(self, pieces):
        self.pieces, self.buffer, self.at = iter(pieces), b"", 0

    def ended(self):
        while self.at == len(self.buffer):
            self.buffer, self.at = next(self.pieces, None), 0
            if self.buffer is None:
                self.buffer = b""
                return True
        return False

    def take(self, count):
        need(count <= ENTRY, "something too long to be true")
        while len(self.buffer) - self.at < count:
            piece = next(self.pieces, None)
            need(piece is not None, "ends in the middle of something")
            self.buffer, self.at = self.buffer[self.at:] + piece, 0
        self.at += count
        return self.buffer[self.at - count:self.at]

    def fixed(self, layout):
        return struct.unpack("<" + layout, self.take(struct.calcsize("<" + layout)))

    def number(self, limit=(1 << 64) - 1):
        value = shift = 0
        while shift < 64:
            byte = self.take(1)[0]
            value, shift = value | (byte & 0x7F) << shift, shift + 7
            if byte < 0x80:
                need(value <= limit, f"a number is {value}, and {limit} is the limit")
                return value
        raise Damage("a number has more than 64 bits")

    def counted(self):
        return self.take(self.number())

    def reference(self):
        number = self.number()
        return checked(None if number & 1 else self.take(32), number >> 1)


def checked(name, length):
    need(0 < length <= (CHUNK if name else LENGTH), f"a reference to {length} bytes")
    return name, length


class Repository:
    def __init__(self, root, password=None, key=None, verify=False):
        self.root, self.packs, self.places, self.verify = root, [], {}, verify
        self.frame = lru_cache(64)(self.open_frame)
        config = json.loads(self.read("config", PLAIN))
        need(config["format"] == 1, f"format {config['format']} is not known here")
        need(not config["features"], f"uses what is not known here: {config['features']}")
        self.id = bytes.fromhex(config["repository"])
        for name in self.names("keys"):
            try:
                slot = json.loads(self.read(f"keys/{name}", PLAIN))
                if slot["version"] == 1 and self.unlock(slot, name, password, key):
                    break
            except (Damage, KeyError, ValueError):
                continue
        else:
            raise Damage("no key slot opens with this password or key")
        keys = hkdf(self.naming_secret, b"", b"dr chunk name 1", 64)
        self.naming_keys = keys[:32], keys[32:]

    def unlock(self, slot, name, password, key):
        if slot["kind"] == "key" and key is not None:
            wrapping = hkdf(key, b"", b"dr key slot 1")
        elif slot["kind"] == "password" and password is not None:
            rule = slot["scrypt"]
            need(128 * rule["n"] * rule["r"] <= 1 << 30 and rule["p"] <= 16, "scrypt asks for too much")
            wrapping = Scrypt(bytes.fromhex(rule["salt"]), 32, rule["n"], rule["r"], rule["p"]).derive(password)
        else:
            return False
        sealed = bytes.fromhex(slot["sealed"])
        secrets = Bytes([unseal(
            wrapping, sealed[:12], sealed[12:], f"dr key slot 1 {slot['kind']} {name}".encode(), name)])
        version, repository, naming, chunker, records, count = secrets.fixed("B32s32s32s32sI")
        need(version == 1, f"{name}: secrets of version {version}")
        self.naming_secret, self.chunker_secret, self.record_key = naming, chunker, records
        self.data_keys = dict(secrets.fixed("I32s") for _ in range(count))
        self.add_later_keys(name, X25519PrivateKey.from_private_bytes(hkdf(wrapping, b"", b"dr slot exchange 1")))
        return repository == self.id

    def add_later_keys(self, slot, private):
        folder = os.path.join(self.root, "keys", "epochs")
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            try:
                made = json.loads(self.read(f"keys/epochs/{name}", PLAIN))
                number, grant = made["epoch"], made["grants"][slot]
                need(made["version"] == 1 and name == f"{number:08x}", f"keys/epochs/{name}: is another one")
                info = b"dr epoch 1" + self.id + struct.pack("<I", number) + slot.encode()
                self.data_keys.setdefault(number, hpke_open(
                    private, bytes.fromhex(grant["key"]), info, hkdf(self.record_key, b"", b"dr epoch 1"),
                    b"dr epoch 1", bytes.fromhex(grant["sealed"])))
            except (Damage, InvalidTag, KeyError, ValueError) as error:
                complain(f"keys/epochs/{name}: does not open ({error!r})")

    def names(self, folder):
        path = os.path.join(self.root, folder)
        return sorted(name for name in (os.listdir(path) if os.path.isdir(path) else [])
                      if len(name) == 64 and not set(name) - set("0123456789abcdef"))

    def read(self, name, limit):
        with open(os.path.join(self.root, name), "rb") as file:
            data = file.read(limit + 1)
        need(len(data) <= limit, f"{name}: too large")
        return data

    def record(self, name):
        stored = self.read(name, RECORD + PLAIN)
        need(stored[:8] == b"dr-rec\0\1" and len(stored) >= 56, f"{name}: is no record")
        plain = unseal(hkdf(self.record_key, stored[8:40], b"dr record 1"), bytes(12), stored[40:],
                       b"dr record 1" + self.id + name.encode(), name)
        return json.loads(inflate(plain, RECORD, name))

    def snapshots(self):
        for name in self.names("snapshots"):
            try:
                record = self.record(f"snapshots/{name}")
                need(record["id"] == name, f"snapshots/{name}: is another one")
                yield record
            except (Damage, OSError) as error:
                complain(error)

    def find_chunks(self):
        """Reads every pack's list; a pack that cannot be read may not matter, but is named."""
        for folder in sorted(os.listdir(os.path.join(self.root, "packs"))):
            for name in self.names(os.path.join("packs", folder)):
                try:
                    self.add_pack(os.path.join(self.root, "packs", folder, name), bytes.fromhex(name))
                except (Damage, OSError) as error:
                    complain(error)

    def add_pack(self, path, name):
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            need(64 <= size <= PACK, f"{path}: has no pack's length")
            file.seek(size - 48)
            footer, magic, epoch = file.read(32), *struct.unpack("<8sI4x", file.read(16))
            need(magic == b"dr-tail\1", f"{path}: is no pack, or cut short")
            need(epoch in self.data_keys, f"{path}: there is no data key {epoch}")
            key, bound = hkdf(self.data_keys[epoch], name, b"dr pack 1"), self.id + name
            start, length = struct.unpack("<QQ", unseal(
                key, number_nonce(2**64 - 2), footer, b"dr footer 1" + bound, path))
            need(start >= 16 and start + length == size - 48, f"{path}: had another length once")
            file.seek(start)
            trailer = unseal(key, number_nonce(2**64 - 1), file.read(length), b"dr trailer 1" + bound, path)
        version, frame_count, chunk_count = struct.unpack_from("<BII", trailer)
        need(version == 1 and frame_count <= FRAMES and chunk_count <= CHUNKS
             and len(trailer) == 9 + 9 * frame_count + 40 * chunk_count, f"{path}: a list of another length")
        frames, offset = [], 16
        for sealed, plain, encoding in struct.iter_unpack("<IIB", trailer[9:9 + 9 * frame_count]):
            need(0 < plain <= FRAME and 16 < sealed <= plain + 16 and encoding < 2, f"{path}: a wrong frame")
            frames.append((offset, sealed, plain, encoding))
            offset += sealed
        need(offset <= start, f"{path}: its frames are longer than it is")
        number, current, used = len(self.packs), 0, 0
        self.packs.append((path, key, b"dr frame 1" + bound, frames))
        for chunk, frame, length in struct.iter_unpack("<32sII", trailer[9 + 9 * frame_count:]):
            if frame != current:
                need(frame == current + 1 < frame_count and used == frames[current][2], f"{path}: a wrong list")
                current, used = frame, 0
            need(0 < length <= CHUNK and used + length <= frames[frame][2], f"{path}: a wrong chunk")
            self.places[chunk] = self.places.get(chunk, ()) + (number, frame, used, length)
            used += length

    def open_frame(self, pack, number):
        path, key, associated, frames = self.packs[pack]
        offset, sealed, size, encoding = frames[number]
        with open(path, "rb") as file:
            file.seek(offset)
            plain = unseal(key, number_nonce(number), file.read(sealed), associated, f"{path}, frame {number}")
        if encoding == 1:
            plain = inflate(plain, size, f"{path}, frame {number}")
        need(len(plain) == size, f"{path}, frame {number}: has another length")
        return plain

    def chunk(self, name, role, length):
        problem, places = Damage(f"chunk {name.hex()} is in no pack that can be read"), self.places.get(name, ())
        for pack, frame, offset, listed in zip(*[iter(places)] * 4):
            try:
                plain = self.frame(pack, frame)[offset:offset + listed]
                # Its frame was authenticated; the name is checked where that costs little, or on demand.
                need(len(plain) == length and (not (role or self.verify) or blake3(
                    self.naming_keys[role], plain) == name),
                    f"{self.packs[pack][0]}: chunk {name.hex()} is not what its name says")
                return plain
            except (Damage, OSError) as error:
                problem = error
        raise problem

    def pieces(self, depth, references):
        """A content's pieces: bytes, or a number of zeros."""
        for name, length in references:
            if depth == 0:
                yield self.chunk(name, 0, length) if name else length
                continue
            need(name, "a run of zeros where a node should be")
            node, listed = Bytes([self.chunk(name, 1, length)]), []
            need(node.fixed("BB") == (1, depth - 1), f"node {name.hex()} is not of the depth it should be")
            while not node.ended():
                listed.append(node.reference())
            need(0 < len(listed) <= REFERENCES, f"node {name.hex()} lists too much")
            yield from self.pieces(depth - 1, listed)

    def content(self, length, depth, references):
        """The pieces, which must add up to `length`."""
        need(depth <= DEPTH and length <= LENGTH, "a content that is too deep or too long")
        for piece in self.pieces(depth, references):
            length -= piece if isinstance(piece, int) else len(piece)
            need(length >= 0, "a content is longer than it should be")
            yield piece
        need(length == 0, "a content is shorter than it should be")

    def part(self, part):
        content, references = part["content"], []
        for text in content.get("references", []):
            name, length = text.split(":")
            references.append(checked(None if name == "0" else bytes.fromhex(name), int(length)))
        return self.content(content["length"], content.get("depth", 0), references)


class Entry:
    """One entry of a tree; FORMAT.md, section 7."""

    def __init__(self, data, previous):
        head, shared = data.fixed("B")[0], data.number(len(previous))
        self.path, self.type, self.torn = previous[:shared] + data.counted(), head & 0x1F, bool(head & 0x80)
        need(1 <= self.type <= 6 and (self.type == 1 or not head & 0x20), f"an entry with the head {head}")
        self.mode, self.user, self.group = data.number(0o7777), data.number(2**32 - 1), data.number(2**32 - 1)
        self.modified, self.changed = data.fixed("qq")
        self.inode, self.device = data.number(), data.number()
        self.first = None
        if self.type == 1:
            self.size, self.links = data.number(), data.number(2**32 - 1)
            self.first = data.counted() if head & 0x20 else None
            self.depth, self.length, count = data.fixed("B")[0], data.number(), data.number(REFERENCES)
            self.references = [data.reference() for _ in range(count)]
        elif self.type == 3:
            self.target = data.counted()
        elif self.type >= 5:
            self.number = data.number(2**32 - 1), data.number(2**32 - 1)
        count = data.number(ENTRY) if head & 0x40 else 0
        self.attributes = [(data.counted(), data.counted()) for _ in range(count)]


def entries(pieces):
    """A tree's entries, root first; none can lead out of it."""
    data, previous = Bytes(piece if isinstance(piece, bytes) else bytes(min(piece, ENTRY)) for piece in pieces), None
    while not data.ended():
        entry = Entry(data, previous or b"")
        names = entry.path.split(b"/")
        if previous is None:
            need(entry.path == b"", "a tree that does not begin with its root")
        else:
            need(not {b"", b".", b".."} & set(names) and b"\0" not in entry.path, f"refused: {entry.path!r}")
            need(names > previous.split(b"/"), f"out of order: {entry.path!r}")
        previous = entry.path
        yield entry


def write_file(pieces, path):
    try:
        with open(path, "xb") as file:
            for piece in pieces:
                if isinstance(piece, int):
                    file.seek(piece, os.SEEK_CUR)
                else:
                    file.write(piece)
            file.truncate()
    except Damage:
        os.unlink(path)
        raise


def set_metadata(entry, path, follow=False):
    """Owner, then mode (a new owner clears setuid), then attributes, then times."""
    steps = [lambda: os.chown(path, entry.user, entry.group, follow_symlinks=follow)] if os.geteuid() == 0 else []
    if entry.type != 3:
        steps.append(lambda: os.chmod(path, entry.mode))
    for name, value in entry.attributes:
        steps.append(lambda name=name, value=value: os.setxattr(path, name, value, follow_symlinks=follow))
    steps.append(lambda: os.utime(path, ns=(entry.modified, entry.modified), follow_symlinks=follow))
    for step in steps:
        try:
            step()
        except OSError as error:
            complain(f"{entry.path!r}: {error.strerror}")


def extract_tree(repository, pieces, root):
    """Makes a tree of `root`, which is not there yet: no link in it is a stranger's."""
    stack, written = [], set()

    def leave():
        directory, descriptor = stack.pop()
        set_metadata(directory, f"/proc/self/fd/{descriptor}".encode(), follow=True)
        os.close(descriptor)

    for entry in entries(pieces):
        parent, _, name = entry.path.rpartition(b"/")
        while stack and entry.path and stack[-1][0].path != parent:
            leave()
        need(stack or not entry.path, f"{entry.path!r} is in no directory")
        # Through the open directory above it, so that no path is too long.
        path = b"/proc/self/fd/%d/%s" % (stack[-1][1], name) if stack else root
        try:
            if entry.type == 1 and entry.first in written:
                os.link(os.path.join(root, entry.first), path, follow_symlinks=False)
                continue
            make(repository, entry, path)
        except (Damage, OSError) as error:
            need(entry.type != 2, f"{entry.path!r}: {error}")
            complain(f"not written: {entry.path!r}: {error}")
            continue
        if entry.type == 2:
            stack.append((entry, os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)))
        else:
            set_metadata(entry, path)
        if entry.type == 1:
            written.add(entry.path)
        if entry.torn:
            complain(f"changed while it was saved: {entry.path!r}")
    while stack:
        leave()


def make(repository, entry, path):
    if entry.type == 1:
        need(entry.size == entry.length, "its size is not that of its content")
        write_file(repository.content(entry.length, entry.depth, entry.references), path)
    elif entry.type == 2:
        os.mkdir(path, 0o700)
    elif entry.type == 3:
        os.symlink(entry.target, path)
    elif entry.type == 4:
        os.mkfifo(path, 0o600)
    else:
        os.mknod(path, 0o600 | (stat.S_IFCHR if entry.type == 5 else stat.S_IFBLK), os.makedev(*entry.number))


def list_snapshots(repository):
    for record in sorted(repository.snapshots(), key=lambda record: record["asOf"].rstrip("Z")):
        print(record["id"], record["asOf"], record["workload"])
        for part in record["parts"]:
            print(f"    {part['kind']:8} {part['bytes']:>15}  {part['name']}")


def extract(repository, arguments):
    found = [record for record in repository.snapshots() if record["id"].startswith(arguments.snapshot)]
    need(len(found) == 1, f"{len(found)} snapshots have an id that begins with {arguments.snapshot}")
    parts = [part for part in found[0]["parts"] if arguments.part in (None, part["name"])]
    need(parts, f"this snapshot has no part {arguments.part}")
    repository.find_chunks()
    if arguments.directory == "-":
        need(len(parts) == 1 and parts[0]["kind"] != "tree", "name one part that is no tree, with --part")
        for piece in repository.part(parts[0]):
            for start in range(0, piece, FRAME) if isinstance(piece, int) else ():
                sys.stdout.buffer.write(bytes(min(FRAME, piece - start)))
            sys.stdout.buffer.write(b"" if isinstance(piece, int) else piece)
        sys.stdout.buffer.flush()
        return
    os.makedirs(arguments.directory, exist_ok=True)
    for part in parts:
        name = quote(part["name"], safe=" :@+,=").replace(".", "%2E", part["name"].startswith("."))
        path = os.fsencode(os.path.abspath(os.path.join(arguments.directory, name)))
        try:
            if part["kind"] == "tree":
                extract_tree(repository, repository.part(part), path)
            else:
                write_file(repository.part(part), path)
        except (Damage, OSError) as error:
            complain(f"{part['name']}: {error}")


def secret(key_file):
    """The password and the key, one of which is None."""
    path = key_file or os.environ.get("DR_PASSWORD_FILE")
    if path is None:
        need("DR_PASSWORD" in os.environ, "set DR_PASSWORD_FILE or DR_PASSWORD, or give --key-file")
        return os.fsencode(os.environ["DR_PASSWORD"]), None
    with open(path, "rb") as file:
        data = file.read()
    if not key_file:
        return data.removesuffix(b"\n").removesuffix(b"\r"), None
    return None, data if len(data) == 32 else bytes.fromhex(data.decode("ascii").strip())


def main():
    parser = argparse.ArgumentParser(description="Reads a dr repository without dr.")
    parser.add_argument("--key-file", help="holds a random key; else DR_PASSWORD_FILE or DR_PASSWORD is used")
    parser.add_argument("repository", help="its directory")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="show snapshots and their parts, the oldest first")
    extracting = commands.add_parser("extract", help="write a snapshot's parts below a directory")
    extracting.add_argument("snapshot", help="its id, or enough of its beginning")
    extracting.add_argument("directory", help="made if missing; - writes one part to standard output")
    extracting.add_argument("--part", metavar="NAME", help="only this one")
    extracting.add_argument("--verify", action="store_true", help="check the names of chunks too: 3 s a MB without the package blake3")
    arguments = parser.parse_args()
    try:
        repository = Repository(
            arguments.repository, *secret(arguments.key_file), getattr(arguments, "verify", False))
        list_snapshots(repository) if arguments.command == "list" else extract(repository, arguments)
    except (Damage, OSError, KeyError, ValueError) as error:
        complain(error)
    sys.exit(1 if PROBLEMS else 0)


if __name__ == "__main__":
    main()
