@rem The npm scripts begin with `exec`, so that signals reach Node instead of a shell around it. cmd.exe lacks the word.
@%*
