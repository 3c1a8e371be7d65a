//! The binary `plait`. Everything is in the library, so that tests and other programs can use the same parts.

fn main() -> std::process::ExitCode {
    plait_client::cli::main()
}
