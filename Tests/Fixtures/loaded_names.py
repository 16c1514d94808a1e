#!/usr/bin/env python3
"""Prints damaged pickles with the names that CPython's loaders ask for, one JSON array a line.

    python3 loaded_names.py FILE CASES SEED     (FILE: pickles in base64, one a line)

[pickle in base64, [[module, name], ...], whether a persistent id was asked for]. Nothing is imported: find_class gives a
class that takes anything. Each pickle is loaded by the C and by the pure Python unpickler, from bytes and from a file, there again
and again with one memo and with a new one.
"""
import base64
import io
import json
import os
import pickle
import random
import resource
import struct
import sys
import warnings
import _pickle

resource.setrlimit(resource.RLIMIT_AS, (1 << 28, 1 << 28))
warnings.simplefilter("ignore")

FRAGMENTS = [
    b"cos\nsystem\n", b"cos\nsystem\n)R", b"(S'os'\nios\nsystem\n", b"\x8c\x02os\x8c\x06system\x93", b"U\x02osU\x06system\x93",
    b"S'os'\nS'sys\\x74em'\n\x93", b"Vos\nVsys\\u0074em\n\x93", b"T\x02\0\0\0osX\x06\0\0\0system\x93", b"\x8c\x02os\x94\x8c\x06system\x94\x93",
    b"h\0h\x01\x93", b"j\0\0\0\0j\x01\0\0\0\x93", b"g0\ng1\n\x93", b"q\0", b"q\x01", b"\x94", b"p0\n", b"p+1\n", b"p 1\n", b"r\x01\0\0\0",
    b"\x8c\x02os0", b"2", b"0", b"1", b"(", b"t", b"l", b"d", b"e", b"u", b"a", b"s", b"b", b"o", b"R", b"\x81", b"\x92", b")", b"]", b"}",
    b"\x8f", b"\x90", b"\x91", b"\x85", b"\x86", b"\x87", b"N", b"\x88", b"K\x01", b"I+1\n", b"I0x1\n", b"I08\n", b"I010\n", b"I 1\n", b"I1_0\n",
    b"L1\n", b"L+1L\n", b"L1LL\n", b"FInf\n", b"F+1.5E+3\n", b"F1_0\n", b"F 1\n", b"F1e999\n", b".", b"..", b"\n", b"\x80\x02", b"\x80\x04", b"\x80\x06",
    b"\x95\x02\0\0\0\0\0\0\0", b"\x95\0\0\0\0\0\0\0\0", b"\x95\x03\0\0\0\0\0\0\0", b"\x95\x0a\0\0\0\0\0\0\0", b"\x95\x40\0\0\0\0\0\0\0",
    b"\x95\x01\0\0\0\0\0\0\0\x8c\x02os", b"Q", b"Pid\n", b"P\xff\n", b"\x82\x01", b"\x83\x01\0", b"\x84\1\0\0\0", b"\x97", b"\x98", b"C\x01x", b"B\x01\0\0\0x",
    b"\x8e\1\0\0\0\0\0\0\0x", b"\x96\1\0\0\0\0\0\0\0x", b"\x8d\2\0\0\0\0\0\0\0os", b"\x8a\1\1", b"\x8b\1\0\0\0\1", b"\x8b\xff\xff\xff\xff", b"cos\n", b"cos\nsystem",
    b"c__builtin__\nset\n(]tR", b"c_codecs\nencode\n(Vos\nVlatin1\ntR", b"cbuiltins\nbytearray\n)R", b"c\xc3\xa9\n\xff\n", b"U\x01\xff", b"S'\\'\n", b"V\\u00\n", b"X\x01\0\0\0\xff",
]


class Meta(type):
    def __call__(cls, *args, **kwargs): return object.__new__(cls)


def stub(name):
    def nothing(self, *args): return None
    body = dict.fromkeys(("append", "add", "extend", "__setitem__", "__setstate__", "__hash__"), nothing)
    return Meta("stub", (), {**body, "__hash__": object.__hash__, "__new__": lambda cls, *a, **k: object.__new__(cls)})


def names(data):
    found, asked = set(), []

    def unpickler(base):
        class U(base):
            def find_class(self, module, name):
                found.add((module, name))
                return stub(name)

            def persistent_load(self, pid):
                asked.append(1)
                return stub("pid")
        return U

    for base in _pickle.Unpickler, pickle._Unpickler:
        kind = unpickler(base)

        def loads():
            # As `loads` has it: the C loader reads bytes that it has as a whole otherwise than a file.
            kind(io.BytesIO(data)).load()

        def loads_again():
            file = io.BytesIO(data)
            for _ in range(50): kind(file).load()

        def load_again():
            one = kind(io.BytesIO(data))
            for _ in range(50): one.load()

        class Whole(io.BytesIO):
            """Gives all there is at once, so that the C loader reads across frames as `loads` does."""
            def peek(self, count): return self.getvalue()[self.tell():]

        def whole(): kind(Whole(data)).load()

        for load in loads, loads_again, load_again, whole:
            try: load()
            except (Exception, MemoryError): pass
    return found, bool(asked)


def main():
    # What the interpreter itself says about its own errors.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    count, seed = int(sys.argv[2]), int(sys.argv[3])
    choose = random.Random(seed)
    corpus = [base64.b64decode(line) for line in open(sys.argv[1])]
    corpus = [pickled for pickled in corpus if len(pickled) < 300] + [b"N.", b"\x80\x04]\x94.", b"\x80\x02}q\x00."]
    for number in range(count):
        data = bytearray(choose.choice(corpus))
        if number % 3 == 0: data = bytearray(b"".join(choose.choice(FRAGMENTS) for _ in range(choose.randrange(1, 9))) + b".")
        for _ in range(choose.choice((0, 1, 1, 2, 3, 5))):
            place = choose.randrange(len(data) + 1)
            what = choose.randrange(8)
            if what < 4: data[place:place] = choose.choice(FRAGMENTS)
            elif what == 4: data[place:place + 1] = bytes([choose.randrange(256)])
            elif what == 5: del data[place:place + choose.randrange(1, 4)]
            elif what == 6: data += choose.choice(corpus)
            else: data[place:place] = b"\x95" + struct.pack("<Q", choose.randrange(0, 40))
        found, asked = names(bytes(data))
        print(json.dumps([base64.b64encode(data).decode(), sorted(found), asked]))


main()
