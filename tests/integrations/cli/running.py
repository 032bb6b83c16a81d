"""How tests run the command line."""

from typer.testing import CliRunner, Result

from integrations.cli import app


def run(*arguments: object) -> Result:
    """Run ``flawsmith``; an exception that is not a clean exit fails the test."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def mistake(*arguments: object) -> str:
    """Run what a user should not; return the one line that says so."""
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    assert result.stdout == ""
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("error:")
    return lines[0]
