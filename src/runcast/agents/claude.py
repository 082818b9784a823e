"""Claude Code: takes prompts and answers as lines of JSON on its standard input."""

from runcast.agents import Launch
from runcast.agents.claude_control import ClaudeControl
from runcast.agents.words import check_prompt, flags
from runcast.config_agents import AgentOptions


class ClaudeDriver:
    """Starts `claude`, with whatever account or key its environment holds."""

    dialect = "claude"
    unset: tuple[str, ...] = ()

    def launch(self, prompt: str, options: AgentOptions, *, interactive: bool) -> Launch:
        """Put the prompt on standard input, which stays open for answers to its questions."""
        check_prompt(prompt)
        command = [
            *(options.command or ["claude"]),
            "-p",
            *("--output-format", "stream-json", "--verbose"),
            *("--input-format", "stream-json", "--permission-prompt-tool", "stdio"),
            *flags({"--model": options.model, "--permission-mode": options.permission_mode}),
            *options.extra_args,
        ]
        return Launch(
            command,
            self.dialect,
            stdin="pipe" if interactive else "agent",
            stdin_text=ClaudeControl().prompt(prompt).decode("ascii"),
            env=options.env,
            unset=self.unset,
        )


class ClaudeSubscriptionDriver(ClaudeDriver):
    """Starts `claude` on the account it is logged in to: a key in the environment would win."""

    unset = ("ANTHROPIC_API_KEY",)
