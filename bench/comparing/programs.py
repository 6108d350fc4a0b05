# SPDX-License-Identifier: BSD-3-Clause
"""How to ask Sinew, its peers and the limits for one number, in one unit.

A program answers run(test, transport, ranks, size, way) with half a round trip or a collective's
time in us, MB/s of 10^6 bytes, Mmsg/s, or seconds of a start and the peak MB of a rank. A way is
one of the settings its documentation suggests; which is best is found out before measuring.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import time

LOOP_SECONDS = 0.1  # of every timed loop, as sinew-perf's
PATIENCE = 60
UNITS = {"latency": "us", "bandwidth": "MB/s", "rate": "Mmsg/s", "start": "s", "memory": "MB"}
PAIR_TESTS = ("latency", "bandwidth", "rate")
REWRITTEN = "-rewritten"  # before every message, as programs do; Sinew's buffers are shared then
REWRITTEN_TESTS = ("latency" + REWRITTEN, "bandwidth" + REWRITTEN)
ONE_BUFFER = "bandwidth-one-buffer"  # again and again, as ucx_perftest has it
# Of collectives: buffers written before, or flushed before; both, and those of -shared, from the library's own
# allocator; OSU's overlap, with so many polls.
VARIANTS = {"-rewritten": (["--rewrite"], ["rewrite"]),
            "-cold": (["--cold"], ["cold"]),
            "-shared": (["--memory", "shared"], ["alloc"]),
            "-shared-rewritten": (["--memory", "shared", "--rewrite"], ["alloc", "rewrite"]),
            "-overlap": (["--overlap", "8"], ["overlap=8"])}
COLLECTIVES = ("barrier", "bcast", "reduce", "allreduce", "gather", "scatter", "allgather",
               "alltoall", "reduce_scatter", "reduce_scatter_block", "scan", "exscan", "gatherv",
               "scatterv", "allgatherv", "alltoallv", "neighbour_allgather", "neighbour_alltoall",
               "neighbour_alltoallv")
# Transports that are somebody else's library: how Sinew is told, and both what to carry it on.
FABRICS = {"ucx/tcp": {"UCX_TLS": "tcp,self", "UCX_NET_DEVICES": "lo"},
           "ucx/posix": {"UCX_TLS": "posix,self"},
           "ofi/tcp": {"SINEW_OFI_PROVIDER": "tcp;ofi_rxm", "FI_TCP_IFACE": "lo"},
           "ofi/shm": {"SINEW_OFI_PROVIDER": "shm"}}
TESTS = (PAIR_TESTS + REWRITTEN_TESTS + (ONE_BUFFER,) + COLLECTIVES +
         tuple(test + suffix for test in COLLECTIVES if test != "barrier" for suffix in VARIANTS) +
         ("start", "memory"))


ALL = "collectives"


def tests_of(word):
    """Every collective, where that is the word; with the suffix it has."""
    name, dash, variant = word.partition("-")
    found = [test + dash + variant for test in COLLECTIVES] if name == ALL else [word]
    return [test for test in found if test in TESTS] or [word]


def base(test):
    """The loop that is run, and how buffers are treated in it."""
    name, dash, variant = test.partition("-")
    return name, dash + variant


def sinew_words(test):
    name, variant = base(test)
    if name in COLLECTIVES:
        return VARIANTS[variant][0] if variant else []
    if test == ONE_BUFFER:
        return ["--one-buffer"]
    return ["--memory", "shared", "--rewrite"] if variant == REWRITTEN else []


def peer_words(test):
    name, variant = base(test)
    if name in COLLECTIVES:
        return VARIANTS[variant][1] if variant else []
    return ["rewrite"] if variant == REWRITTEN else []


def more_is_better(test):
    name, variant = base(test)
    return name in ("rate", "bandwidth") or variant == "-overlap"


def unit(test):
    name, variant = base(test)
    return "%" if variant == "-overlap" else UNITS.get(name, "us")


class Failed(Exception):
    """What was run and what it said."""


class Way:
    """Settings of a peer: words for its command line and for its environment."""

    def __init__(self, name, *arguments, **environment):
        self.name, self.arguments, self.environment = name, list(arguments), environment

    def shown(self, command):
        settings = [f"{k}={v}" for k, v in self.environment.items()]
        return " ".join(settings + [os.path.relpath(w) if w.startswith("/") else w for w in command])


def failed(command, said, status):
    lines = [line for line in said.strip().splitlines() if line.strip()]
    return Failed(f"{' '.join(command)}: {status}: {' / '.join(lines[-3:]) or 'no word'}")


def execute(command, environment=None):
    try:
        done = subprocess.run(command, env={**os.environ, **(environment or {})}, timeout=PATIENCE,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)
    except subprocess.TimeoutExpired:
        raise Failed(f"{' '.join(command)}: no end within {PATIENCE} s") from None
    except OSError as error:
        raise Failed(f"{command[0]}: {error.strerror}") from None
    if done.returncode != 0:
        raise failed(command, done.stderr or done.stdout, f"exit status {done.returncode}")
    return done.stdout


def json_lines(text):
    """Objects among whatever else a launcher prints."""
    found = []
    for line in text.splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            pass
    return found


def figure_of(command, text, size):
    """What sinew-perf, sinew-limits and peers' loops print for one size; 0: for the only one."""
    for line in json_lines(text):
        if not size or line.get("bytes") == size:
            return line["mean"] if "mean" in line else line["value"]
    raise failed(command, text, f"no figure of {size} bytes" if size else "no figure")


def one_number(command, environment, size):
    return figure_of(command, execute(command, environment), size)


def start(command, environment, ranks, test):
    """Seconds of a whole job, or the peak of its hungriest rank."""
    before = time.monotonic()
    text = execute(command, environment)
    took = time.monotonic() - before
    lines = [line for line in json_lines(text) if line.get("test") == "start"]
    if len(lines) != ranks or any(line["ranks"] != ranks for line in lines):
        raise failed(command, text, f"{len(lines)} of {ranks} ranks reported")
    return took if test == "start" else max(line["peak_kib"] for line in lines) * 1024 / 1e6


def first_line(command, pattern):
    try:
        found = re.search(pattern, execute(command))
    except Failed:
        return None
    return found.group(1) if found else None


def message_us(transport, size):
    """A rough guess, to choose how many iterations make a loop of LOOP_SECONDS."""
    return 8 + size / 2500 if transport.endswith("tcp") else 0.3 + size / 6000


class Sinew:
    name = "Sinew"

    def __init__(self, build):
        self.bin = os.path.join(build, "bin")

    def missing(self):
        for program in ("sinewrun", "sinew-perf", "sinew-start", "sinew-limits"):
            if not os.path.exists(os.path.join(self.bin, program)):
                return f"no {program} in {self.bin}: ci/build makes it"
        return None

    def version(self):
        return first_line([os.path.join(self.bin, "sinew-perf"), "--version"], r"(\d\S*)")

    def ways(self, test, transport, ranks, size):
        return [Way("as built", **FABRICS.get(transport, {}))]

    def command(self, test, transport, ranks, size, way):
        run = [os.path.join(self.bin, "sinewrun"), "-n", str(ranks), "--bind", "core"]
        if transport:
            run += ["--transport", transport.partition("/")[0]]
        if test in ("start", "memory"):
            return run + [os.path.join(self.bin, "sinew-start")]
        loop = base(test)[0]
        words = [] if test == "barrier" else ["--bytes", str(size)]
        words += sinew_words(test)
        return run + [os.path.join(self.bin, "sinew-perf"), loop] + words + ["--json"]

    def run(self, test, transport, ranks, size, way):
        command = self.command(test, transport, ranks, size, way)
        if test in ("start", "memory"):
            return start(command, way.environment, ranks, test)
        return one_number(command, way.environment, size)


# Collectives of two ranks that sinew-limits knows over bare sockets and over the bare ring.
EXCHANGES = ("barrier", "bcast", "reduce", "allreduce", "allgather", "alltoall", "reduce_scatter")


class Limit:
    """One row of `sinew-limits --help`."""

    def __init__(self, build, transport):
        self.program = os.path.join(build, "bin", "sinew-limits")
        self.transport, self.name = transport, f"limit: {transport}"

    def missing(self):
        return None

    def version(self):
        return None

    def ways(self, test, transport, ranks, size):
        limited = {("shm", "latency"): ("line", "ring", "kernel"),
                   ("shm", "rate"): ("ring",),
                   ("shm", "bandwidth"): ("ring", "kernel"),
                   ("shm", "latency-rewritten"): ("copy",),
                   ("shm", "bandwidth-rewritten"): ("copy",),
                   ("tcp", "latency"): ("tcp",),
                   ("tcp", "rate"): ("tcp", "tcp-batched"),
                   ("tcp", "bandwidth"): ("tcp",)}
        limited.update({("tcp", test): ("tcp",) for test in EXCHANGES})
        limited.update({("shm", test): ("ring",) for test in EXCHANGES})
        if ranks != 2 or self.transport not in limited.get((transport, test), ()):
            return []
        if size not in (0, 8) and self.transport in ("line", "tcp-batched"):
            return []
        if size < 1024 and self.transport in ("kernel", "copy"):
            return []
        if (
            transport == "tcp"
            or self.transport == "copy"
            or (transport == "shm" and test in EXCHANGES)
        ):
            return self.fastest_ways(test, size)
        return [Way("fastest way")]

    def fastest_ways(self, test, size):
        """What it found to be fastest, three times: which one is then measured is tried like a peer's.

        A pair is two short runs then, one right after the other. To find the fastest of dozens
        takes seconds (of a dozen, one), in which a machine that drifts has become another one.
        """
        command = self.command(test, self.transport, 2, size, Way(""))
        command.remove("--json")
        try:
            rows = [execute(command).splitlines()[1] for _ in range(3)]
        except Failed:
            return [Way("fastest way")]
        return [Way(words, "--way", words)
                for words in sorted({re.split(r" (?:us|MB/s|Mmsg/s) +", row)[1] for row in rows})]

    def command(self, test, transport, ranks, size, way):
        return [self.program, base(test)[0], "--transport", self.transport, "--bytes", str(size or 8), "--json",
                "--seconds", str(LOOP_SECONDS)] + way.arguments

    def run(self, test, transport, ranks, size, way):
        return one_number(self.command(test, transport, ranks, size, way), {}, size or 8)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def listening(port):
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with open(table, encoding="ascii") as lines:
            for line in lines:
                words = line.split()
                if words[1].endswith(f":{port:04X}") and words[3] == "0A":
                    return True
    return False


class ClientServer:
    """Peers whose own benchmark is a server on the first core and a client on the second."""

    def cores(self):
        return [str(core) for core in sorted(os.sched_getaffinity(0))[:2]]

    def command(self, test, transport, ranks, size, way):
        return ["taskset", "-c", self.cores()[1]] + self.client(test, transport, size, way, 13337)

    def run(self, test, transport, ranks, size, way):
        port = free_port()
        first, second = self.cores()
        environment = {**os.environ, **way.environment}
        server = subprocess.Popen(["taskset", "-c", first] + self.server(test, size, way, port),
                                  env=environment, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            until = time.monotonic() + 60
            while not listening(port):
                if server.poll() is not None or time.monotonic() > until:
                    server.kill()
                    raise failed(server.args, server.communicate()[0], "the server does not listen")
                time.sleep(0.002)
            command = ["taskset", "-c", second] + self.client(test, transport, size, way, port)
            return self.read(test, size, command, execute(command, way.environment))
        finally:
            try:
                server.communicate(timeout=2)
            except subprocess.TimeoutExpired:
                server.kill()
                server.communicate()


def ucx_ways(test, transport, ranks, size):
    if ranks != 2:
        return []
    if transport in FABRICS:
        return [Way(transport, **FABRICS[transport])] if transport.startswith("ucx/") else []
    if transport == "tcp":
        return [Way("tcp", UCX_TLS="tcp,self", UCX_NET_DEVICES="lo")]
    ways = [Way("posix", UCX_TLS="posix,self")]
    if size > 4096:
        ways.append(Way("posix, cma", UCX_TLS="posix,cma,self"))
    return ways


class UcxPerftest(ClientServer):
    """One buffer used again and again, and no answer after a window. Beyond small messages that
    measures a cache: such figures are shown, and not counted among the peers', but where Sinew
    uses one buffer too."""

    name = "ucx_perftest"
    tests = {"latency": "tag_lat", "rate": "tag_bw", "bandwidth": "tag_bw", ONE_BUFFER: "tag_bw"}

    def missing(self):
        return None if shutil.which("ucx_perftest") else "ucx_perftest is not installed"

    def version(self):
        return first_line(["ucx_info", "-v"], r"Version (\S+)")

    def other_work(self, test, size):
        return test not in ("latency", ONE_BUFFER) and size >= 1024

    def ways(self, test, transport, ranks, size):
        return ucx_ways(test, transport, ranks, size) if test in self.tests else []

    def server(self, test, size, way, port):
        return ["ucx_perftest", "-p", str(port)]

    def client(self, test, transport, size, way, port):
        guess = message_us(transport, size)
        if test == "rate" and transport == "shm":
            guess /= 4
        loops = max(20, int(LOOP_SECONDS * 1e6 / guess / (2 if test == "latency" else 1)))
        return ["ucx_perftest", "-p", str(port), "127.0.0.1", "-t", self.tests[test], "-s",
                str(size), "-n", str(loops), "-w", str(max(10, loops // 10)), "-f", "-v"]

    def read(self, test, size, command, text):
        rows = [line.split(",") for line in text.splitlines() if "," in line]
        if len(rows) < 2 or rows[0][0] != "iterations" or len(rows[0]) != len(rows[-1]):
            raise failed(command, text, "no figure")
        row = dict(zip(rows[0], map(float, rows[-1])))
        if test == "latency":
            return row["overall_lat"]
        return row["overall_mr"] / 1e6 * (1 if test == "rate" else size)


class Libfabric(ClientServer):
    name = "libfabric"

    def missing(self):
        return None if shutil.which("fi_pingpong") else "fi_pingpong is not installed"

    def version(self):
        return first_line(["fi_info", "--version"], r"libfabric: (\S+)")

    def ways(self, test, transport, ranks, size):
        if test != "latency" or ranks != 2 or transport.startswith("ucx/"):
            return []
        if transport == "ofi/tcp":
            return [Way(transport, "-p", "tcp;ofi_rxm", "-e", "rdm", FI_TCP_IFACE="lo")]
        if transport == "tcp":
            return [Way("tcp;ofi_rxm", "-p", "tcp;ofi_rxm", "-e", "rdm"),
                    Way("tcp", "-p", "tcp", "-e", "msg")]
        return [Way("shm", "-p", "shm", "-e", "rdm", "-m", "tagged")]

    def server(self, test, size, way, port):
        return ["fi_pingpong", "-B", str(port)] + self.work(test, "shm", size, way)

    def client(self, test, transport, size, way, port):
        return ["fi_pingpong", "-P", str(port)] + self.work(test, transport, size, way) + ["127.0.0.1"]

    def work(self, test, transport, size, way):
        # Both sides have to say the same, so the guess is the one of shared memory.
        loops = max(20, int(LOOP_SECONDS * 1e6 / message_us("shm", size) / 4))
        return way.arguments + ["-S", str(size), "-I", str(min(loops, 10000))]

    def read(self, test, size, command, text):
        rows = [line.split() for line in text.splitlines() if line.strip()]
        for head, row in zip(rows, rows[1:]):
            if "usec/xfer" in head:
                return float(row[head.index("usec/xfer")])
        raise failed(command, text, "no figure")


class Compiled:
    """A peer whose work is a program of ours, made on first use."""

    def __init__(self, bench, build):
        self.source = os.path.join(bench, self.source)
        self.program = os.path.join(build, "peers", self.output)

    def missing(self):
        for program in self.needs:
            if not shutil.which(program):
                return f"{program} is not installed"
        try:
            self.compile()
        except Failed as error:
            return str(error)
        return None

    def compile(self):
        if os.path.exists(self.program):
            if os.path.getmtime(self.program) >= os.path.getmtime(self.source):
                return
        os.makedirs(os.path.dirname(self.program), exist_ok=True)
        execute([self.compiler, "-std=gnu11", "-D_GNU_SOURCE", "-O3", "-o", self.program,
                 self.source] + self.libraries)

    def version(self):
        return first_line(*self.version_command)


class Ucx(Compiled):
    """Tagged messages of UCX's UCP."""

    name, source, output = "UCX", "ucx_peer.c", "ucx_peer"
    needs, compiler, libraries = ("gcc", "ucx_info"), "gcc", ["-lucp", "-lucs"]
    version_command = (["ucx_info", "-v"], r"Version (\S+)")

    def ways(self, test, transport, ranks, size):
        does = base(test)[0] in PAIR_TESTS and test != ONE_BUFFER
        return ucx_ways(test, transport, ranks, size) if does else []

    def command(self, test, transport, ranks, size, way):
        return [self.program, base(test)[0], str(size), str(LOOP_SECONDS)] + peer_words(test)

    def run(self, test, transport, ranks, size, way):
        return one_number(self.command(test, transport, ranks, size, way), way.environment, size)


class Mpi(Compiled):
    """An MPI; it pins itself as sinewrun --bind core does."""

    source, libraries = "mpi_peer.c", []

    def __init__(self, bench, build):
        self.output, self.compiler = f"mpi_peer-{self.kind}", f"mpicc.{self.kind}"
        self.needs = (self.compiler, f"mpirun.{self.kind}")
        super().__init__(bench, build)

    def command(self, test, transport, ranks, size, way):
        run = [f"mpirun.{self.kind}"] + self.launch(ranks) + way.arguments + [self.program]
        if test in ("start", "memory"):
            return run + ["start"]
        return run + [base(test)[0], str(size), str(LOOP_SECONDS)] + peer_words(test)

    def run(self, test, transport, ranks, size, way):
        command = self.command(test, transport, ranks, size, way)
        if test in ("start", "memory"):
            return start(command, way.environment, ranks, test)
        return one_number(command, way.environment, size)


class OpenMpi(Mpi):
    name, kind = "Open MPI", "openmpi"
    version_command = (["mpirun.openmpi", "--version"], r"\) (\S+)")

    def launch(self, ranks):
        # With a slot for each rank where there is a core for each: then it spins, else it yields.
        cores = len(os.sched_getaffinity(0))
        words = ["-np", str(ranks), "--bind-to", "none", "--host", f"localhost:{min(ranks, cores)}"]
        if ranks > cores:
            words.append("--oversubscribe")
        return words + (["--allow-run-as-root"] if os.getuid() == 0 else [])

    def ways(self, test, transport, ranks, size):
        ob1 = ["--mca", "pml", "ob1", "--mca", "btl"]
        ucx = ["--mca", "pml", "ucx", "--mca", "pml_ucx_tls", "any", "--mca", "pml_ucx_devices",
               "any"]
        if transport in FABRICS or test == ONE_BUFFER:
            return []
        if test in ("start", "memory"):
            return [Way("as it comes"), Way("ob1, vader", *ob1, "vader,self")]
        if transport == "tcp":
            return [Way("ob1, tcp", *ob1, "tcp,self", "--mca", "btl_tcp_if_include", "lo"),
                    Way("ucx tcp", *ucx, UCX_TLS="tcp,self", UCX_NET_DEVICES="lo")]
        ways = [Way("ob1, vader", *ob1, "vader,self"), Way("ucx posix", *ucx, UCX_TLS="posix,self")]
        if size > 4096:
            ways.append(Way("ob1, vader without cma", *ob1, "vader,self", "--mca",
                            "btl_vader_single_copy_mechanism", "none"))
        return ways


class Mpich(Mpi):
    name, kind = "MPICH", "mpich"
    version_command = (["mpirun.mpich", "--version"], r"Version:\s+(\S+)")

    def launch(self, ranks):
        return ["-n", str(ranks), "-bind-to", "none"]

    def ways(self, test, transport, ranks, size):
        if transport in FABRICS or test == ONE_BUFFER:
            return []
        if transport == "tcp":
            return [Way("ucx tcp", UCX_TLS="tcp,self", UCX_NET_DEVICES="lo")]
        ways = [Way("as it comes")]
        if test not in ("start", "memory"):
            ways.append(Way("ucx posix", UCX_TLS="posix,self"))
        return ways


def peers(bench, build):
    return {"ucx": Ucx(bench, build), "ucx_perftest": UcxPerftest(), "libfabric": Libfabric(),
            "openmpi": OpenMpi(bench, build), "mpich": Mpich(bench, build)}


def limits(build):
    names = ("line", "ring", "kernel", "copy", "tcp", "tcp-batched")
    return {name: Limit(build, name) for name in names}
