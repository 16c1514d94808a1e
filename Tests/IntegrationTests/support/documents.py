"""Commands in documents."""
import re

EXIT = re.compile(r"(?m)^(.*\S)  # exit (\d+)\b.*$")
"""A line that ends in two spaces and `# exit 1`, with or without a reason behind it, is a command that ends with this code."""


def script(commands):
    """The commands for `bash -e`: each ends with 0, or with the code beside it."""
    return EXIT.sub(
        lambda line: f"code=0; {line[1]} || code=$?; [ $code = {line[2]} ] || {{ echo \"exit $code, not {line[2]}\"; exit 97; }}",
        commands)


def commands(block):
    """The lines of a block without exit codes and comments."""
    lines = (EXIT.sub(r"\1", line).strip().removeprefix("$ ") for line in block.splitlines())
    return [line for line in lines if line and not line.startswith("#")]
