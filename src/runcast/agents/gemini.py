"""Gemini CLI: takes its prompt from its command line."""

from runcast.agents import Launch
from runcast.agents.words import check_not_interactive, flags, prompt_word
from runcast.config_agents import AgentOptions


class GeminiDriver:
    """Starts `gemini`, which asks nothing: its approval mode decides."""

    dialect = "gemini"

    def launch(self, prompt: str, options: AgentOptions, *, interactive: bool) -> Launch:
        """Put the prompt last, in one word with its flag: it may begin with a dash."""
        check_not_interactive(interactive)
        command = [
            *(options.command or ["gemini"]),
            *("--output-format", "stream-json"),
            *flags({"--model": options.model, "--approval-mode": options.permission_mode}),
            *options.extra_args,
            prompt_word(prompt, "--prompt="),
        ]
        return Launch(command, self.dialect, env=options.env)
