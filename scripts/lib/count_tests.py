#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""count_tests.py LOG_FOLDER JUNIT_FILE...: the result of ctest runs in test cases, not executables.

One ctest test may hold many test cases. What it says at its end counts: Catch2's summary, or the line "N passed,
N failed" of a lab test; a test that says neither counts as one. A test that failed with a summary of no failures (it
crashed, timed out, left something behind) counts as one failure more. Writes the output of failed tests to
LOG_FOLDER. The last line of stdout is "N passed, N failed[, N skipped]"; exit status 0 if nothing failed and at least
one test passed.
"""
import pathlib
import re
import sys
import xml.etree.ElementTree as ElementTree

CATCH_ALL_PASSED = re.compile(r"^All tests passed \(.* in (\d+) test cases?\)", re.M)
CATCH_CASES = re.compile(r"^test cases:\s*(\d+)(.*)$", re.M)
SHELL = re.compile(r"^(\d+) passed, (\d+) failed$", re.M)


def cases_of(output: str) -> tuple[int, int] | None:
    """Passed and failed test cases by the last summary in the output; None if there is none."""
    if found := SHELL.findall(output):
        return int(found[-1][0]), int(found[-1][1])
    if found := CATCH_ALL_PASSED.findall(output):
        return int(found[-1]), 0
    if found := CATCH_CASES.findall(output):
        failed = re.search(r"(\d+) failed", found[-1][1])
        failed_count = int(failed.group(1)) if failed else 0
        return int(found[-1][0]) - failed_count, failed_count
    return None


def count(case: ElementTree.Element, output: str) -> tuple[int, int, int]:
    """Passed, failed and skipped of one ctest test."""
    if case.get("status") in ("notrun", "disabled"):
        return 0, 0, 1
    passed, failed = cases_of(output) or (0, 0)
    if case.get("status") == "run":
        return max(passed, 1), failed, 0
    return passed, max(failed, 1), 0


def main() -> int:
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    passed = failed = skipped = 0
    for case in (case for junit in sys.argv[2:] for case in ElementTree.parse(junit).getroot().iter("testcase")):
        name, output = case.get("name"), case.findtext("system-out") or ""
        case_passed, case_failed, case_skipped = count(case, output)
        passed, failed, skipped = passed + case_passed, failed + case_failed, skipped + case_skipped
        if case_failed:
            log = folder / f"{name}.log"
            log.write_text(output)
            print(f"FAILED {name}: {case_failed} failed, {case_passed} passed; its output is in {log}")
        if case_skipped:
            lines = output.strip().splitlines() or ["no reason given"]
            print(f"SKIPPED {name}: {lines[-1]}")
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 0 if failed == 0 and passed > 0 else 1


sys.exit(main())
