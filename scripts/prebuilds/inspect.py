"""What binaries are, as LIEF reads them: prints, for each file that is named, a line of JSON."""

import hashlib
import json
import sys

import lief

TYPE = lief.MachO.LoadCommand.TYPE
ARCHS = {
    lief.Header.ARCHITECTURES.X86_64: "x64",
    lief.Header.ARCHITECTURES.ARM64: "arm64",
    lief.Header.ARCHITECTURES.ARM: "arm",
    lief.Header.ARCHITECTURES.RISCV: "riscv64",
    lief.Header.ARCHITECTURES.PPC64: "ppc64",
}


# Those that LIEF has no name for that all formats share.
ELF_ARCHS = {lief.ELF.ARCH.S390: "s390x"}


def version(numbers):
    return ".".join(str(number) for number in numbers[:2])


def elf(binary):
    needed = [name for table in binary.symbols_version_requirement for name in table.get_auxiliary_symbols()]
    glibc = [name.name.removeprefix("GLIBC_") for name in needed if name.name.startswith("GLIBC_")]
    newest = max(([int(part) for part in each.split(".")] for each in glibc), default=None)
    arch = ELF_ARCHS.get(binary.header.machine_type)
    return {**({"arch": arch} if arch else {}), "glibc": newest and version(newest), "libraries": list(binary.libraries)}


def pe(binary):
    return {"libraries": [each.name for each in binary.imports]}


def code_pages_are_signed(binary, content):
    """Does each page of the file have the hash that the ad hoc signature says? (xnu's osfmk/kern/cs_blobs.h.)"""
    blob = bytes(binary.code_signature.content)
    number = lambda at: int.from_bytes(blob[at : at + 4], "big")
    directory = next(number(16 + 8 * i) for i in range(number(8)) if number(12 + 8 * i) == 0)
    hashes, count, limit = (number(directory + at) for at in (16, 28, 32))
    size, page = blob[directory + 36], 1 << blob[directory + 39]
    digests = [blob[directory + hashes + i * size :][:size] for i in range(count)]
    pages = [content[at : min(at + page, limit)] for at in range(0, limit, page)]
    return limit == binary.code_signature.data_offset and digests == [hashlib.sha256(each).digest() for each in pages]


def macho(binary, content):
    libraries = list(binary.libraries)
    return {
        "macos": version(binary.build_version.minos),
        "libraries": [each.name for each in libraries if each.command != TYPE.ID_DYLIB],
        "name": next(each.name for each in libraries if each.command == TYPE.ID_DYLIB),
        "thread_locals": lief.MachO.Header.FLAGS.HAS_TLV_DESCRIPTORS in binary.header.flags_list,
        "signed": binary.has_code_signature and code_pages_are_signed(binary, content),
    }


def inspect(path):
    with open(path, "rb") as file:
        content = file.read()
    binary = lief.parse(path)
    facts = {
        "format": {"MACHO": "MachO"}.get(binary.format.name, binary.format.name),
        "arch": ARCHS.get(binary.abstract.header.architecture, "another"),
    }
    if facts["format"] == "PE":
        exports = [each.name for each in binary.get_export().entries]
        return {**facts, "exports": exports, **pe(binary)}
    exports = [each.name.removeprefix("_") for each in binary.exported_symbols]
    more = elf(binary) if facts["format"] == "ELF" else macho(binary, content)
    return {**facts, "exports": exports, **more}


for path in sys.argv[1:]:
    print(json.dumps(inspect(path)))
