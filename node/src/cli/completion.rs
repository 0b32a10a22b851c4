//! `scrapering completion`: what a shell needs to complete command lines.

use super::failure::Status;
use super::terms::print;
use clap::Args;
use clap_complete::Shell;

/// Arguments of `completion`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: scrapering completion bash > ~/.local/share/bash-completion/completions/scrapering\n         \
    scrapering completion zsh > ~/.zfunc/_scrapering\n         \
    scrapering completion fish > ~/.config/fish/completions/scrapering.fish"
)]
pub(super) struct CompletionArgs {
    /// The shell.
    shell: Shell,
}

/// Runs the command for the command line `whole`.
pub(super) fn completion(args: &CompletionArgs, mut whole: clap::Command) -> anyhow::Result<Status> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut whole, "scrapering", &mut script);
    print(script)?;
    Ok(Status::Done)
}
