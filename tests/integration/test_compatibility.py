"""docs/compatibility.md and the comparison of the virtual machine rung say the same."""

import os
import sys
import unittest
from pathlib import Path

import tap

SOURCE = Path(os.environ.get("SRCDIR", Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(SOURCE / "tests/vm"))

from compare import ABSENT, Difference, Known, find, places  # noqa: E402
from compare_differences import DIFFERENCES, rows  # noqa: E402
from compare_requests import ARGUMENTS, CONVERSATIONS, LOOKS, RAW, generated  # noqa: E402


class Document(unittest.TestCase):
    """The table is not written twice."""

    def test_every_difference_is_in_the_table(self) -> None:
        text = (SOURCE / "docs/compatibility.md").read_text(encoding="utf-8")
        begin = text.index("<!-- compare_differences.py -->\n")
        table = text[begin:(text + "\n\n").index("\n\n", begin)].splitlines()
        self.assertEqual(table[3:], rows(),
                         "write anew what python3 tests/vm/compare_differences.py prints")

    def test_each_has_a_reason_of_its_own(self) -> None:
        self.assertEqual(len(set(rows())), len(rows()))
        for known in DIFFERENCES:
            self.assertTrue(known.what and known.stock and known.ours and known.why, known)
            self.assertNotEqual(known, Known(known.what, known.stock, known.ours, known.why),
                                "it would cover everything")


class Requests(unittest.TestCase):
    """What is compared."""

    def test_several_hundred_and_every_command(self) -> None:
        asked = {step[0] for steps in CONVERSATIONS.values() for step in steps
                 if isinstance(step, tuple)} | set(LOOKS)
        rejected = {steps[0][0] for steps in generated().values()}
        self.assertEqual(set(ARGUMENTS) - rejected, set())
        self.assertEqual(set(ARGUMENTS) - asked, {
            "guest-sync", "guest-sync-delimited",  # on the wire
            "guest-suspend-disk", "guest-suspend-ram", "guest-suspend-hybrid"})
        self.assertGreater(len(RAW) + len(generated()), 300)

    def test_none_of_those_that_are_wrong_could_end_the_machine(self) -> None:
        for name, steps in generated().items():
            command, arguments = steps[0]
            if command in ("guest-shutdown", "guest-suspend-disk", "guest-suspend-ram",
                           "guest-suspend-hybrid"):
                self.assertTrue("nonsense" in arguments or "mode" in arguments, name)


class Comparison(unittest.TestCase):
    """That a difference is found, and only where it is."""

    def find(self, stock, ours, command="guest-x") -> list[tuple[str, str, str]]:
        return [(one.place, one.stock, one.ours) for one in find("c", command, [stock], [ours])]

    def test_places(self) -> None:
        self.assertEqual(places({"return": {"a": [1, 2], "b": {}, "c": []}}),
                         {"return.a": "[1, 2]", "return.b": "{}", "return.c": "[]"})
        self.assertEqual(places([{"name": "x", "v": 1}]),
                         {" (order)": '["x"]', "[x].name": '"x"', "[x].v": "1"})

    def test_a_value_a_type_a_member_an_entry_and_an_order(self) -> None:
        self.assertEqual(self.find({"return": 1}, {"return": 1}), [])
        self.assertEqual(self.find({"return": 1}, {"return": 2}), [("return", "1", "2")])
        self.assertEqual(self.find({"return": 1}, {"return": 1.0}), [("return", "1", "1.0")])
        self.assertEqual(self.find({"return": {"a": 1}}, {"return": {}}),
                         [("return", ABSENT, "{}"), ("return.a", "1", ABSENT)])
        one, two = {"name": "a"}, {"name": "b"}
        self.assertEqual([place for place, _, _ in
                          self.find({"return": [one, two]}, {"return": [two, one]})],
                         ["return (order)"])
        self.assertIn(("return[b].name", '"b"', ABSENT),
                      self.find({"return": [one, two]}, {"return": [one]}))

    def test_what_varies_must_still_be_of_its_kind(self) -> None:
        self.assertEqual(self.find({"return": 17}, {"return": 18}, "guest-get-time"), [])
        self.assertNotEqual(self.find({"return": 17}, {"return": "18"}, "guest-get-time"), [])

    def test_a_reply_that_is_missing(self) -> None:
        self.assertEqual([one.place for one in find("c", "wire", [{"return": 1}, {"return": 2}],
                                                    [{"return": 1}])],
                         ["reply 2: return"])

    def test_an_entry_covers_what_it_says(self) -> None:
        known = Known("w", "s", "o", "y", command="guest-get-*", place=r"return\[.*\]\.x", now="1")
        self.assertTrue(known.covers(Difference("c", "guest-get-y", "return[3].x", "0", "1")))
        for other in (("guest-set-y", "return[3].x", "1"), ("guest-get-y", "return[3].xx", "1"),
                      ("guest-get-y", "return[3].x", "12")):
            self.assertFalse(known.covers(Difference("c", other[0], other[1], "0", other[2])))


if __name__ == "__main__":
    tap.main()
