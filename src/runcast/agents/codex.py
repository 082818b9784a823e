"""Codex: takes its prompt from its command line."""

from runcast.agents import Launch
from runcast.agents.words import check_not_interactive, flags, prompt_word
from runcast.config_agents import AgentOptions
from runcast.core.errors import BadRequest


class CodexDriver:
    """Starts `codex exec`, which asks nothing: its sandbox decides."""

    dialect = "codex"

    def launch(self, prompt: str, options: AgentOptions, *, interactive: bool) -> Launch:
        """Put the prompt last, after `--`."""
        check_not_interactive(interactive)
        if prompt == "-":
            raise BadRequest.of("prompt", "'-' alone means standard input to codex, even here")
        command = [
            *(options.command or ["codex"]),
            *("exec", "--json"),
            *flags({"--model": options.model, "--sandbox": options.permission_mode}),
            *options.extra_args,
            *("--", prompt_word(prompt)),
        ]
        # No standard input: it would be read to its end and added to the prompt.
        return Launch(command, self.dialect, env=options.env)
