"""VMA archives, written as QEMU writes them and read as Proxmox's own tool reads them.

Made from the description of the format alone: it judges what `dr` reads and writes.

    vma.py create CONFIG… -d NAME=FILE… [--seed N]    the archive on standard output
    vma.py extract DIRECTORY                          the archive from standard input
"""
import hashlib
import os
import random
import struct
import sys
import time

CLUSTER, BLOCK, SLOTS = 65536, 4096, 59
ZERO, EMPTY = bytes(BLOCK), bytes(CLUSTER)


class Damaged(Exception):
    pass


def md5_at(data, place):
    return hashlib.md5(data[:place] + bytes(16) + data[place + 16:]).digest()


def header(uuid, ctime, configs, disks):
    blobs = bytearray(1)

    def blob(data):
        if len(data) > 65535:
            raise Damaged("unable to add data to vma archive")
        place = len(blobs)
        blobs.extend(struct.pack("<H", len(data)) + data)
        return place

    fixed = bytearray(12288)
    for index, (name, data) in enumerate(configs):
        struct.pack_into(">I", fixed, 2044 + 4 * index, blob(name.encode() + b"\0"))
        struct.pack_into(">I", fixed, 3068 + 4 * index, blob(data))
    for number, name, size in disks:
        place = 4096 + 32 * number
        struct.pack_into(">I", fixed, place, blob(name.encode() + b"\0"))
        struct.pack_into(">Q", fixed, place + 8, size)
    length = 12288 + (len(blobs) + 511) // 512 * 512
    struct.pack_into(">4sI16sq", fixed, 0, b"VMA\0", 1, uuid, ctime)
    struct.pack_into(">III", fixed, 48, 12288, len(blobs), length)
    whole = bytes(fixed) + bytes(blobs) + bytes(length - 12288 - len(blobs))
    return whole[:32] + md5_at(whole, 32) + whole[48:]


def order(disks, dice):
    """Disk after disk, each in a window that workers shuffle; the guest's own writes push others in."""
    clusters = []
    for disk in disks:
        numbers = list(range((disk[2] + CLUSTER - 1) // CLUSTER))
        for start in range(0, len(numbers), 256):
            window = numbers[start:start + 256]
            dice.shuffle(window)
            numbers[start:start + 256] = window
        clusters += [(disk, number) for number in numbers]
    for _ in range(len(clusters) // 50):
        a, b = dice.randrange(len(clusters)), dice.randrange(len(clusters))
        clusters[a], clusters[b] = clusters[b], clusters[a]
    return clusters


def create(out, configs, disks, dice, cut=None):
    """disks: [(name, path)]; cut: stop after so many extents and say nothing."""
    uuid = dice.randbytes(16)
    table = [(i + 1, name, (os.path.getsize(path) + 511) // 512 * 512)
             for i, (name, path) in enumerate(disks)]
    files = {i + 1: open(path, "rb") for i, (_, path) in enumerate(disks)}
    out.write(header(uuid, int(time.time()), configs, table))
    words, data, extents = [], [], 0

    def flush():
        nonlocal words, data, extents
        extents += 1
        if cut is not None and extents > cut:
            return
        head = bytearray(512)
        struct.pack_into(">4sHH16s", head, 0, b"VMAE", 0, len(data), uuid)
        for slot, word in enumerate(words):
            struct.pack_into(">Q", head, 40 + 8 * slot, word)
        head[24:40] = md5_at(bytes(head), 24)
        out.write(bytes(head) + b"".join(data))
        words, data = [], []

    for (number, _, size), cluster in order(table, dice):
        file = files[number]
        file.seek(cluster * CLUSTER)
        length = min(CLUSTER, size - cluster * CLUSTER)
        bytes_ = file.read(length)
        bytes_ += bytes(-len(bytes_) % BLOCK)
        mask = 0
        # Most of a disk is empty: one comparison for all of it.
        blocks = 0 if bytes_ == EMPTY[:len(bytes_)] else len(bytes_) // BLOCK
        for block in range(blocks):
            piece = bytes_[block * BLOCK:(block + 1) * BLOCK]
            if piece != ZERO:
                mask |= 1 << block
                data.append(piece)
        words.append(mask << 48 | number << 32 | cluster)
        if len(words) == 58:
            flush()
    if words or not table:
        flush()
    out.flush()
    return uuid


def exactly(stream, count):
    data = bytearray()
    while len(data) < count:
        piece = stream.read(count - len(data))
        if not piece:
            break
        data += piece
    return bytes(data)


def read_header(stream):
    fixed = exactly(stream, 12288)
    if len(fixed) < 12288:
        raise Damaged("can't read vma header - got EOF")
    magic, version, uuid, ctime = struct.unpack_from(">4sI16sq", fixed)
    if magic != b"VMA\0":
        raise Damaged("not a vma file - wrong magic number")
    offset, size, length = struct.unpack_from(">III", fixed, 48)
    whole = fixed + exactly(stream, length - 12288)
    if len(whole) < length:
        raise Damaged("can't read vma header data - got EOF")
    if md5_at(whole, 32) != whole[32:48]:
        raise Damaged("wrong vma header chechsum")
    if version != 1 or offset != 12288 or offset + size > length:
        raise Damaged("wrong vma header")

    def blob(pointer):
        place = offset + pointer
        count = struct.unpack_from("<H", whole, place)[0]
        return whole[place + 2:place + 2 + count]

    configs = []
    for index in range(256):
        name, data = (struct.unpack_from(">I", whole, base + 4 * index)[0] for base in (2044, 3068))
        if name:
            configs.append((blob(name)[:-1].decode(), blob(data)))
    disks = {}
    for number in range(1, 255):
        pointer, _, size = struct.unpack_from(">IIQ", whole, 4096 + 32 * number)
        if size:
            disks[number] = (blob(pointer)[:-1].decode(), size)
    return uuid, ctime, configs, disks


def extract(stream, uuid, disks, targets, progress=lambda done: None):
    """targets: {number: file open for writing}"""
    seen = {number: set() for number in disks}
    while True:
        head = exactly(stream, 512)
        if not head:
            break
        if len(head) < 512:
            raise Damaged("read short extent (%d bytes)" % len(head))
        if md5_at(head, 24) != head[24:40]:
            raise Damaged("wrong vma extent header chechsum")
        magic, reserved, count = struct.unpack_from(">4sHH", head)
        if head[8:24] != uuid:
            raise Damaged("wrong vma extent uuid")
        if magic != b"VMAE" or reserved:
            raise Damaged("wrong vma extent header magic")
        data = exactly(stream, count * BLOCK)
        if len(data) < count * BLOCK:
            raise Damaged("short vma extent (%d < %d)" % (len(data), count * BLOCK))
        position = 0
        for slot in range(SLOTS):
            word = struct.unpack_from(">Q", head, 40 + 8 * slot)[0]
            mask, number, cluster = word >> 48, word >> 32 & 255, word & 0xFFFFFFFF
            if not number:
                continue
            if number not in disks:
                raise Damaged("got wrong dev id %d" % number)
            name, size = disks[number]
            if cluster in seen[number]:
                raise Damaged("found duplicated cluster %d for stream %s" % (cluster, name))
            seen[number].add(cluster)
            for block in range(16):
                if not mask >> block & 1:
                    continue
                start = cluster * CLUSTER + block * BLOCK
                if start >= size:
                    raise Damaged("got wrong block address - write beyond end")
                piece = data[position:position + BLOCK]
                position += BLOCK
                targets[number].seek(start)
                targets[number].write(piece[:size - start])
        if position != len(data):
            raise Damaged("vma extent error - missing blocks")
        progress(sum(map(len, seen.values())))
    for number, (name, size) in disks.items():
        for cluster in range((size + CLUSTER - 1) // CLUSTER):
            if cluster not in seen[number]:
                raise Damaged("detected missing cluster %d for stream %s" % (cluster, name))


def main():
    verb, words = sys.argv[1], sys.argv[2:]
    if verb == "create":
        configs, disks, seed = [], [], None
        while words:
            word = words.pop(0)
            if word == "-d":
                disks.append(tuple(words.pop(0).split("=", 1)))
            elif word == "--seed":
                seed = int(words.pop(0))
            else:
                configs.append((os.path.basename(word), open(word, "rb").read()))
        create(sys.stdout.buffer, configs, disks, random.Random(seed))
        return
    os.mkdir(words[0])
    uuid, _, configs, disks = read_header(sys.stdin.buffer)
    for name, data in configs:
        with open(os.path.join(words[0], name), "wb") as file:
            file.write(data)
    targets = {}
    for number, (name, size) in disks.items():
        targets[number] = open(os.path.join(words[0], "disk-%s.raw" % name), "wb")
        targets[number].truncate(size)
    extract(sys.stdin.buffer, uuid, disks, targets)


if __name__ == "__main__":
    try:
        main()
    except Damaged as error:
        sys.exit("vma: %s" % error)
