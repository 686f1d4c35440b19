//! `dkg-bridge`: one command, one line of result or one line of error.

use std::io::Write;
use std::panic::catch_unwind;
use std::process::ExitCode;

use dkg_bridge::commands;
use dkg_bridge::failure::Failure;
use dkg_bridge::files::one_line;

fn main() -> ExitCode {
    // tfhe-rs asserts on bad input; the message is caught below and printed as one line.
    std::panic::set_hook(Box::new(|_| {}));
    let arguments: Vec<String> =
        std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned()).collect();
    let outcome = catch_unwind(|| commands::run(&arguments)).unwrap_or_else(|panic| {
        let message = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("unknown reason");
        Err(Failure::Environment(format!("tfhe-rs gave up: {}", one_line(message))))
    });
    let outcome = outcome.and_then(|text| {
        writeln!(std::io::stdout(), "{text}")
            .map_err(|error| Failure::Environment(format!("cannot print the result: {error}")))
    });
    let Err(failure) = outcome else {
        return ExitCode::SUCCESS;
    };
    let _ = writeln!(std::io::stderr(), "dkg-bridge: {failure}");
    ExitCode::from(failure.exit_code())
}
