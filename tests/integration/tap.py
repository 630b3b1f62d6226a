"""Runs unittest cases and prints TAP, one line per test, for automake's driver."""

import sys
import time
import unittest


class TapResult(unittest.TestResult):
    """Prints a TAP line as each test ends."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.began = 0.0

    def startTest(self, test: unittest.TestCase) -> None:
        super().startTest(test)
        self.count += 1
        self.began = time.monotonic()

    def _line(self, verdict: str, test: unittest.TestCase, note: str = "") -> None:
        took = time.monotonic() - self.began
        name = test.id().split(".", 1)[-1]
        print(f"{verdict} {self.count} - {name} ({took:.2f} s){note}", flush=True)

    def addSuccess(self, test: unittest.TestCase) -> None:
        self._line("ok", test)

    def _fault(self, test: unittest.TestCase, err) -> None:
        self._line("not ok", test)
        for line in self._exc_info_to_string(err, test).splitlines():
            print(f"# {line}", flush=True)

    def addError(self, test: unittest.TestCase, err) -> None:
        super().addError(test, err)
        self._fault(test, err)

    def addFailure(self, test: unittest.TestCase, err) -> None:
        super().addFailure(test, err)
        self._fault(test, err)

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        super().addSkip(test, reason)
        self._line("ok", test, f" # SKIP {reason}")


def main() -> None:
    """Runs the tests of the calling program; arguments select by substring of the name."""
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"])
    cases = [case for group in suite for case in group]
    wanted = sys.argv[1:]
    if wanted:
        cases = [case for case in cases if any(text in case.id() for text in wanted)]
    print(f"1..{len(cases)}", flush=True)
    result = TapResult()
    unittest.TestSuite(cases).run(result)
    sys.exit(0 if result.wasSuccessful() and cases else 1)
