"""opencode: takes its prompt from its command line."""

from runcast.agents import Launch
from runcast.agents.words import check_not_interactive, flags, prompt_word
from runcast.config_agents import AgentOptions

MODES: dict[str | None, list[str]] = {None: [], "auto": ["--auto"]}


class OpencodeDriver:
    """Starts `opencode run`, which refuses itself what it would have to ask for."""

    dialect = "opencode"

    def launch(self, prompt: str, options: AgentOptions, *, interactive: bool) -> Launch:
        """Put the prompt last, after `--`."""
        check_not_interactive(interactive)
        command = [
            *(options.command or ["opencode"]),
            *("run", "--format", "json"),
            *flags({"--model": options.model}),
            *MODES[options.permission_mode],
            *options.extra_args,
            *("--", prompt_word(prompt)),
        ]
        return Launch(command, self.dialect, env=options.env)
