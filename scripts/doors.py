"""Runs what docs/doors.md says: its commands for curl one by one in one shell, its Python as one program.

usage: doors.py PAGE curl|python FOLDER
"""
import pathlib
import re
import subprocess
import sys

END = "that was the answer of"


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)


def walk_with_curl(page, folder):
    """Every line is a command; behind `# ->` stands what its answer must hold, or which problem it is refused with."""
    shell = subprocess.Popen(
        ["bash", "-o", "pipefail"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder
    )
    commands = [line for block in blocks(page, "bash") for line in block.splitlines()]
    for line in commands:
        command, _, expected = (part.strip() for part in line.partition("# ->"))
        print(f"\n{command}\nprintf '\\n%s %d\\n' '{END}' $?", file=shell.stdin, flush=True)
        answer, status = [], None
        for said in shell.stdout:
            if said.startswith(END):
                status = int(said.split()[-1])
                break
            answer.append(said)
        answer, refusal = "".join(answer), expected.startswith("problem ")
        wanted = f"problems/{expected.removeprefix('problem ')}" if refusal else expected
        if status is None or (status != 0) != refusal or wanted not in answer:
            sys.exit(f"{command}\nwas to answer {expected or 'well'!r}, and ended with {status} and\n{answer}")
    shell.stdin.close()
    shell.wait()
    print(f"doors: {len(commands)} commands with curl were answered as docs/doors.md says")


def walk_in_python(page, folder):
    program = "\n".join(blocks(page, "python"))
    (folder / "walk.py").write_text(program, encoding="utf-8")
    subprocess.run([sys.executable, "walk.py"], cwd=folder, check=True, timeout=300)
    calls = len(set(re.findall(r"\bring\.([A-Z]\w+)", program)))
    service = pathlib.Path("proto/scrapering/gateway/v1/gateway.proto").read_text(encoding="utf-8")
    left_out = set(re.findall(r"^  rpc (\w+)", service, flags=re.MULTILINE)) - set(re.findall(r"\bring\.(\w+)", program))
    if left_out:
        sys.exit(f"docs/doors.md never calls {', '.join(sorted(left_out))}")
    print(f"doors: all {calls} calls of the gRPC service were answered as docs/doors.md says")


if __name__ == "__main__":
    text = pathlib.Path(sys.argv[1]).read_text(encoding="utf-8")
    walk = {"curl": walk_with_curl, "python": walk_in_python}[sys.argv[2]]
    walk(text, pathlib.Path(sys.argv[3]))
