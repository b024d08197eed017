#!/usr/bin/env python3
"""Check that texts and names use the field's words: `check_words.py [FILE ...]`, or all files that git tracks.

scripts/words.txt has the words that are not used here, each with what to write instead. Code is read like text: names
are split at underscores and capitals, and a phrase may break over two lines of a paragraph or comment.
`check_words.py --commit FILE` checks a commit message, and that its subject reads "component: verb in the imperative".
"""

import fnmatch
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIST = ROOT / "scripts" / "words.txt"
SUBJECT = re.compile(r"(?:[a-z][\w.,/ -]*: [a-z]|Revert |Merge |fixup! )")
MAX_SUBJECT = 100


class Words:
    def __init__(self, text: str) -> None:
        self.rules: list[tuple[re.Pattern[str], str]] = []
        self.allowed: list[tuple[str, re.Pattern[str]]] = []
        self.skipped: list[str] = []
        for line in text.splitlines():
            if not line or line.startswith("#"):
                continue
            kind, _, rest = line.partition(" ")
            if kind == "skip":
                self.skipped.append(rest)
            elif kind == "allow":
                glob, _, pattern = rest.partition(" ")
                self.allowed.append((glob, re.compile(pattern)))
            else:
                words, separator, advice = line.partition(" -> ")
                if not separator:
                    raise SystemExit(f"{LIST}: neither a rule, nor allow, nor skip: {line}")
                self.rules.append((re.compile(rf"\b(?:{words})\b", re.IGNORECASE), advice))
        self.any = re.compile("|".join(rule.pattern for rule, _ in self.rules), re.IGNORECASE)

    def findings(self, name: str, text: str) -> Iterator[str]:
        allowed = [pattern for glob, pattern in self.allowed if fnmatch.fnmatch(name, glob)]
        before = ""
        for number, raw in enumerate([name, *text.splitlines()]):
            line = raw
            for pattern in allowed:
                line = pattern.sub("", line)
            line = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|_+", " ", line)
            paragraph = re.sub(r"^\W*", "", line)
            both = f"{before} {paragraph}"
            if self.any.search(line) or self.any.search(both):
                for rule, advice in self.rules:
                    for found in rule.finditer(line):
                        yield f'{name}:{max(number, 1)}: "{found[0]}": write {advice}'
                    for found in rule.finditer(both):
                        if found.start() < len(before) < found.end():
                            yield f'{name}:{number}: "{found[0]}": write {advice}'
            before = paragraph.rstrip() if number else ""


def tracked() -> list[str]:
    return subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines()


def main(arguments: list[str]) -> int:
    words = Words(LIST.read_text())
    found: list[str] = []
    if arguments[:1] == ["--commit"]:
        message = re.sub(r"^#.*\n?", "", Path(arguments[1]).read_text(), flags=re.MULTILINE)
        subject = message.partition("\n")[0]
        if not SUBJECT.match(subject) or len(subject) > MAX_SUBJECT:
            found.append(
                f'subject: "{subject}": write "component: verb in the imperative ...", at most {MAX_SUBJECT} characters'
            )
        found += words.findings("message", message)
    else:
        for name in arguments or tracked():
            if any(fnmatch.fnmatch(name, glob) for glob in words.skipped):
                continue
            try:
                text = (ROOT / name).read_text()
            except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
                continue  # no text, or removed and not committed yet
            found += words.findings(name, text)
    for finding in found:
        print(finding)
    if found:
        print(f"{len(found)} findings. An exception is entered in {LIST.relative_to(ROOT)}.")
        return 1
    print("words: clean")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
