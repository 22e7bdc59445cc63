//! The keyfold binary: hands the command line to the library and exits with its status.

#[cfg(not(feature = "shuttle"))]
fn main() -> std::process::ExitCode {
    keyfold::cli::main()
}

/// Outside of a schedule nothing works.
#[cfg(feature = "shuttle")]
fn main() -> std::process::ExitCode {
    eprintln!(
        "error: this is no program\nwhy: it was built with the feature `shuttle`, for tests\nmend: build it without"
    );
    std::process::ExitCode::FAILURE
}
