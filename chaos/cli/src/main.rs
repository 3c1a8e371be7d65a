//! The binary `plait-chaos`: what a person asks of the simulated clusters, the judge and the real ones.

/// A line to standard output. A reader that has gone away (`plait chaos hunt … | head`) ends the program without a
/// complaint.
macro_rules! println {
    ($($text:tt)*) => {
        if std::io::Write::write_fmt(&mut std::io::stdout(), format_args!("{}\n", format_args!($($text)*))).is_err() {
            std::process::exit(0);
        }
    };
}

mod bank;
mod check;
mod cli;
mod explain;
mod hunt;
mod live;
mod replay;
mod report;
mod shrink;
mod twin;
mod zoo_table;

fn main() -> std::process::ExitCode {
    cli::main()
}
