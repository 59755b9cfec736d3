"""Runs a command whose system calls fail, or are slow, as it is told: supervisor.py RULES COMMAND...

The kernel hands the calls of the command to this process (seccomp's user notification), which refuses each, lets it wait, or
lets it pass. RULES is a file with a list in JSON, read anew when it is replaced:

  call      "open", "stat", "fstat", "fstatfs", "flock", "close", "unlink", "rmdir", "mkdir", "link", "symlink", "rename", "utime",
            "setxattr", "clone" (of a thread) or "tgkill" (a signal to one); "any" of those that name a file
  path      only calls on this file: by its path, or by a descriptor of it. Of two paths of a call the new one counts
  folder    only calls on what is in this folder, or below
  flags     only calls whose flags, operation or signal have one of these bits
  readonly  only calls on a descriptor that is open for reading alone
  errno     the number of the error; without it the call passes
  magic     what fstatfs says that the file system is, instead of asking it
  delay     milliseconds to wait before that; "for ever": until the process ends; "for now": until there are other rules
  skip      how many calls pass before
  times     how many are concerned, at most

Each call that is concerned is a line in the file RULES.met. Prints "unavailable" where the kernel may not do so. A call
that waits is not ended by a signal, as on a file system that does not answer (SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV).
"""

import array
import ctypes
import fcntl
import json
import os
import platform
import signal
import socket
import struct
import sys
import threading
import time

# By the names that rules have; where a file is named, the argument that does so; where there are flags, theirs.
NUMBERS = {
    "x86_64": {
        2: ("open", 0, 1),
        257: ("open", 1, 2),
        437: ("open", 1, None),
        4: ("stat", 0, None),
        262: ("stat", 1, None),
        332: ("stat", 1, None),
        5: ("fstat", None, None),
        138: ("fstatfs", None, None),
        73: ("flock", None, 1),
        3: ("close", None, None),
        6: ("stat", 0, None),
        87: ("unlink", 0, None),
        263: ("unlink", 1, 2),
        84: ("rmdir", 0, None),
        83: ("mkdir", 0, None),
        258: ("mkdir", 1, None),
        86: ("link", 1, None),
        265: ("link", 3, None),
        88: ("symlink", 1, None),
        266: ("symlink", 2, None),
        82: ("rename", 1, None),
        264: ("rename", 3, None),
        316: ("rename", 3, 4),
        280: ("utime", 1, None),
        188: ("setxattr", 0, None),
        189: ("setxattr", 0, None),
        190: ("setxattr", None, None),
        234: ("tgkill", None, 2),
        56: ("clone", None, None),
        435: ("clone", None, None),
    },
    "aarch64": {
        56: ("open", 1, 2),
        437: ("open", 1, None),
        79: ("stat", 1, None),
        291: ("stat", 1, None),
        80: ("fstat", None, None),
        44: ("fstatfs", None, None),
        32: ("flock", None, 1),
        57: ("close", None, None),
        35: ("unlink", 1, 2),
        34: ("mkdir", 1, None),
        37: ("link", 3, None),
        36: ("symlink", 2, None),
        38: ("rename", 3, None),
        276: ("rename", 3, 4),
        88: ("utime", 1, None),
        5: ("setxattr", 0, None),
        6: ("setxattr", 0, None),
        7: ("setxattr", None, None),
        131: ("tgkill", None, 2),
        220: ("clone", None, None),
        435: ("clone", None, None),
    },
}[platform.machine()]
# Those of x86_64 whose path is not the first argument, and is not relative to an open folder before it either.
WITHOUT_FOLDER = {82, 86, 88} if platform.machine() == "x86_64" else set()
# Of unlink: it removes a folder.
REMOVE_FOLDER = 0x200
SECCOMP = {"x86_64": 317, "aarch64": 277}[platform.machine()]

PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
SET_MODE_FILTER, NEW_LISTENER, WAIT_KILLABLE = 1, 1 << 3, 1 << 5
LOAD_WORD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, NOTIFY = 0x7FFF0000, 0x7FC00000
RECEIVE, SEND, CONTINUE = 0xC0502100, 0xC0182101, 1
NOTIFICATION, ANSWER = "=QIIiIQ6Q", "=QqiI"

# How often it is looked whether there are other rules, in seconds.
LOOK = 0.001

libc = ctypes.CDLL(None, use_errno=True)


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def listen():
    """The descriptor at which the calls of this process, and of those that it becomes, are reported. -1: it may not be."""
    calls = [(JUMP_IF_EQUAL, len(NUMBERS) - i, 0, number) for i, number in enumerate(NUMBERS)]
    instructions = [(LOAD_WORD, 0, 0, 0), *calls, (RETURN, 0, 0, ALLOW), (RETURN, 0, 0, NOTIFY)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *each) for each in instructions))
    program = Program(len(instructions), ctypes.addressof(code))
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    flags = ctypes.c_ulong(NEW_LISTENER | WAIT_KILLABLE)
    return libc.syscall(ctypes.c_long(SECCOMP), ctypes.c_ulong(SET_MODE_FILTER), flags, ctypes.byref(program))


class Rules:
    def __init__(self, file):
        self.file, self.read, self.rules = file, None, []

    def version(self):
        """Another one when the file has been replaced."""
        stat = os.stat(self.file)
        return stat.st_ino, stat.st_mtime_ns

    def now(self):
        """The rules that are in the file now. Those that are counted start anew when it is replaced."""
        version = self.version()
        if self.read != version:
            self.read = version
            with open(self.file) as file:
                self.rules = [{**rule, "met": 0, "version": version} for rule in json.load(file)]
        return self.rules

    def verdict(self, call, path_of, is_readonly, flags):
        """What becomes of a call: the rule that concerns it, or None."""
        for rule in self.now():
            if rule["call"] not in (call, "any") or ("flags" in rule and not rule["flags"] & flags):
                continue
            if "folder" in rule and not (path_of() or "").startswith(f"{rule['folder']}/"):
                continue
            if "path" in rule and rule["path"] != path_of():
                continue
            if "readonly" in rule and rule["readonly"] != is_readonly():
                continue
            rule["met"] += 1
            skip = rule.get("skip", 0)
            if skip < rule["met"] <= skip + rule.get("times", sys.maxsize):
                with open(f"{self.file}.met", "a") as met:
                    met.write(f"{call}\n")
                return rule
        return None


def text_at(pid, address):
    """The string at an address of a process. It may go on in the next page, which need not be there otherwise."""
    text = b""
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        memory.seek(address)
        while b"\0" not in text:
            text += memory.read(4096 - (address + len(text)) % 4096)
    return os.fsdecode(text.split(b"\0")[0])


def facts(pid, number, arguments):
    """The name of a call, which file it is about and whether that is open for reading alone, when that is asked, and its flags."""
    call, name, flags = NUMBERS[number]

    def path():
        try:
            if name is None or arguments[name] == 0:
                return os.readlink(f"/proc/{pid}/fd/{arguments[0]}")
            text = text_at(pid, arguments[name])
            if name == 0 or number in WITHOUT_FOLDER or not text or text.startswith("/"):
                return text
            folder = ctypes.c_int(arguments[name - 1]).value
            return os.path.join(os.readlink(f"/proc/{pid}/fd/{folder}" if folder >= 0 else f"/proc/{pid}/cwd"), text)
        except OSError:
            return None

    def is_readonly():
        with open(f"/proc/{pid}/fdinfo/{arguments[0]}") as info:
            flags = next(line for line in info if line.startswith("flags:"))
        return int(flags.split()[1], 8) & os.O_ACCMODE == os.O_RDONLY

    # With an empty path it is how the C library asks for what fstat() says.
    if name is not None and call == "stat" and path() == "":
        call, name = "fstat", None
    flags = 0 if flags is None else arguments[flags]
    return "rmdir" if call == "unlink" and flags & REMOVE_FOLDER else call, path, is_readonly, flags


def wait(delay, rules, version):
    if delay != "for now":
        return time.sleep(delay / 1000)
    while rules.version() == version:
        time.sleep(LOOK)


def write_magic(pid, address, magic):
    """Puts the number of a file system where a process wants to have what fstatfs says."""
    with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
        memory.seek(address)
        memory.write(struct.pack("=Q112x", magic))


def answer(listener, identity, rule, rules):
    delay = rule.get("delay", 0) if rule else 0
    if delay == "for ever":
        return
    if delay:
        wait(delay, rules, rule["version"])
    errno = rule.get("errno", 0) if rule else 0
    done = errno or rule and "magic" in rule
    reply = struct.pack(ANSWER, identity, 0, -errno, 0 if done else CONTINUE)
    try:
        fcntl.ioctl(listener, SEND, reply)
    except OSError:
        pass  # The process has ended meanwhile.


def supervise(listener, rules):
    while True:
        notification = bytearray(struct.calcsize(NOTIFICATION))
        try:
            fcntl.ioctl(listener, RECEIVE, notification)
        except InterruptedError:
            continue
        except OSError:
            continue  # It has ended before its call was seen.
        identity, pid, _, number, _, _, *arguments = struct.unpack(NOTIFICATION, notification)
        try:
            rule = rules.verdict(*facts(pid, number, arguments))
            if rule and "magic" in rule:
                write_magic(pid, arguments[1], rule["magic"])
        except OSError:
            rule = None
        if rule and rule.get("delay"):
            threading.Thread(target=answer, args=(listener, identity, rule, rules), daemon=True).start()
        else:
            answer(listener, identity, rule, rules)


def main():
    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        ours.close()
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        listener = listen()
        if listener < 0:
            print("unavailable", flush=True)
            os._exit(0)
        theirs.sendmsg([b"!"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [listener]))])
        os.execvp(sys.argv[2], sys.argv[2:])
    theirs.close()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os.kill(child, signal.SIGKILL))
    _, control, _, _ = ours.recvmsg(1, socket.CMSG_SPACE(4))
    if control:
        listener = array.array("i", control[0][2])[0]
        threading.Thread(target=supervise, args=(listener, Rules(sys.argv[1])), daemon=True).start()
    _, status = os.waitpid(child, 0)
    os._exit(os.waitstatus_to_exitcode(status) % 256)


main()
