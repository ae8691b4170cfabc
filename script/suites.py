"""Builds heed three ways, runs every suite on each build, and counts.

Each suite ends in a line of its own; the last line of all is `N passed, N failed`, alone. Nothing may hide a failure:

    a test program that crashes, hangs or ends early   counts as failed, whatever it had printed
    a sanitizer report, even of a process nobody waits for   counts as failed: reports go to files, which are counted
    a suite in which no test ran       counts as failed
    a build that fails                 counts as failed, once for each suite it should have run

While one build's suites run the next is compiled, but for http: its tests look at the clock, so they wait for all builds.
A test that says it cannot run on this machine (a CPU level that is not there) counts as neither; how many is printed.
"""

import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from concurrent.futures import ThreadPoolExecutor, wait

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# build -> (SANITIZE, suites). A ctest suite is the tests whose name matches ^SUITE; http is pytest's.
BUILDS = {
    "release": ("", ["unit", "kernels", "golden", "library", "http"]),
    "address": ("address,undefined", ["unit", "http"]),
    "thread": ("thread", ["unit", "http"]),
}
# What the thread sanitizer's http part is for: several threads at work. It takes minutes for the rest, which the others do as well.
WITH_THREADS = ["test_leaving.py", "test_many.py", "test_metrics.py", "test_queue.py", "test_shutdown.py", "test_threads.py"]
PROGRAM_SECONDS_MAX = 600
SUITE_SECONDS_MAX = 1200

TAP_PLAN = re.compile(r"^1\.\.(\d+)")
TAP_RESULT = re.compile(r"^(not )?ok \d+\b(.*)")
CTEST_OUTPUT = re.compile(r"^(\d+): (.*)")
CTEST_VERDICT = re.compile(r"^ *\d+/\d+ Test +#(\d+): (\S+) \.*(.*?) +[\d.]+ sec")


class Count:
    """What a suite came to."""

    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped


def environment(build, reports):
    """Sanitizers write to files of their own, so that no report is lost with a process's stderr."""
    env = dict(os.environ)
    log = os.path.join(reports, "report")
    env["ASAN_OPTIONS"] = f"log_path={log}:detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1"
    env["UBSAN_OPTIONS"] = f"log_path={log}:print_stacktrace=1"
    env["LSAN_OPTIONS"] = "report_objects=1"
    env["TSAN_OPTIONS"] = f"log_path={log}:halt_on_error=1:second_deadlock_stack=1"
    env["CMOCKA_MESSAGE_OUTPUT"] = "TAP"
    env["HEED_BUILD_DIR"] = build
    return env


def fixed_addresses():
    """The thread sanitizer of gcc 12 does not start where the kernel randomises addresses widely."""
    command = ["setarch", "--addr-no-randomize"]
    allowed = shutil.which("setarch") and subprocess.run(command + ["true"], stderr=subprocess.DEVNULL).returncode == 0
    return command if allowed else []


def compile_build(name):
    """(whether it succeeded, how many seconds it took)"""
    began = time.monotonic()
    build, sanitize = os.path.join(ROOT, "build", name), BUILDS[name][0]
    configure = ["cmake", "-G", "Ninja", "-S", ROOT, "-B", build, f"-DSANITIZE={sanitize}", "-DHEED_TESTS=ON"]
    done = (subprocess.run(configure, stdout=subprocess.DEVNULL).returncode == 0
            and subprocess.run(["ninja", "--quiet", "-C", build]).returncode == 0)
    return done, time.monotonic() - began


class Program:
    """One test program's TAP (a line `ok N - promise` for each test), as ctest passes it on."""

    def __init__(self):
        self.count = Count()
        self.planned = 0
        self.lines = []

    def read(self, line):
        self.lines.append(line)
        plan, result = TAP_PLAN.match(line), TAP_RESULT.match(line)
        if plan:
            self.planned += int(plan[1])
        elif result and "# SKIP" in result[2]:
            self.count.skipped += 1
        elif result:
            self.count.failed += bool(result[1])
            self.count.passed += not result[1]

    def conclude(self, name, verdict):
        ran = self.count.passed + self.count.failed + self.count.skipped
        if ran < self.planned:
            self.count.failed += self.planned - ran
        elif "Passed" not in verdict and not self.count.failed:
            self.count.failed += 1
        elif ran == 0:
            verdict, self.count.failed = "ran no test", 1
        if self.count.failed:
            print(f"--- {name}: {verdict.strip(' *.')}, {self.count.failed} failed")
            print("\n".join(line for line in self.lines if not line.startswith("ok ")))


def run_ctest(build, suite, env, prefix):
    command = prefix + ["ctest", "--test-dir", build, "--tests-regex", f"^{suite}", "--extra-verbose", "--parallel", "2",
                        "--timeout", str(PROGRAM_SECONDS_MAX)]
    result = subprocess.run(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace", text=True)
    programs, total = {}, Count()
    for line in result.stdout.splitlines():
        output, verdict = CTEST_OUTPUT.match(line), CTEST_VERDICT.match(line)
        if output:
            programs.setdefault(output[1], Program()).read(output[2])
        elif verdict:
            program = programs.setdefault(verdict[1], Program())
            program.conclude(verdict[2], verdict[3])
            total.add(program.count)
    if result.returncode and not total.failed:
        print(result.stdout)
        total.failed += 1
    return total


def run_bounded(command, env, suite):
    """The exit status, or None where time ran out. Whatever the command started and left behind ends with it."""
    process = subprocess.Popen(command, env=env, cwd=ROOT, start_new_session=True)
    try:
        return process.wait(SUITE_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        print(f"--- {suite}: not done after {SUITE_SECONDS_MAX} s")
        return None
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass # all had ended
        process.wait()


def run_pytest(build, suite, env, prefix):
    report = os.path.join(build, "pytest.xml")
    if os.path.exists(report):
        os.remove(report)
    tests = os.path.join(ROOT, "tests", suite)
    files = [os.path.join(tests, file) for file in WITH_THREADS] if os.path.basename(build) == "thread" else [tests]
    command = prefix + ["/usr/bin/python3", "-m", "pytest", "--quiet", "-p", "no:cacheprovider", "--junitxml", report, *files]
    total = Count()
    status = run_bounded(command, env, suite)
    if os.path.exists(report):
        for case in ElementTree.parse(report).getroot().iter("testcase"):
            bad = case.find("failure") is not None or case.find("error") is not None
            skipped = case.find("skipped") is not None
            total.failed += bad
            total.skipped += skipped and not bad
            total.passed += not bad and not skipped
    if status != 0 and not total.failed:
        total.failed += 1
    return total


def run_suite(name, suite):
    build = os.path.join(ROOT, "build", name)
    reports = os.path.join(build, "reports", suite)
    shutil.rmtree(reports, ignore_errors=True)
    os.makedirs(reports)
    run = run_pytest if suite == "http" else run_ctest
    count = run(build, suite, environment(build, reports), fixed_addresses() if name == "thread" else [])
    for report in sorted(glob.glob(os.path.join(reports, "report.*"))):
        print(f"--- sanitizer report {os.path.relpath(report, ROOT)}")
        with open(report, errors="replace") as file:
            print(file.read())
        count.failed += 1
    if count.passed + count.failed == 0:
        print(f"--- {name}/{suite}: no test ran")
        count.failed += 1
    return count


def main(wanted):
    known = [f"{name}/{suite}" for name, (_, suites) in BUILDS.items() for suite in suites]
    chosen = [one for one in known if not wanted or one in wanted or one.split("/")[0] in wanted]
    unknown = [word for word in wanted if word not in known and word not in BUILDS]
    if unknown:
        sys.exit(f"no build or suite {', '.join(unknown)}; there are: {', '.join([*BUILDS, *known])}")

    compiler = ThreadPoolExecutor(max_workers=1)
    builds = {name: compiler.submit(compile_build, name) for name in dict.fromkeys(one.split("/")[0] for one in chosen)}
    total, lines = Count(), []
    for one in sorted(chosen, key=lambda one: one.endswith("/http")):
        name, suite = one.split("/")
        wait(builds.values() if suite == "http" else [builds[name]])
        print(f"=== {one}", flush=True)
        began, count = time.monotonic(), Count()
        if builds[name].result()[0]:
            count = run_suite(name, suite)
        else:
            count.failed = 1
        lines.append(f"{one:18} {count.passed:6} passed {count.failed:3} failed"
                     f" {count.skipped:3} skipped {time.monotonic() - began:4.0f} s")
        total.add(count)
    for name, build in builds.items():
        done, seconds = build.result()
        lines.append(f"{name + '/build':18} {'done' if done else 'FAILED':>30} {seconds:6.0f} s")
    print("\n" + "\n".join(lines) + "\n")
    print(f"{total.passed} passed, {total.failed} failed", flush=True)
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
