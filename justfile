# Short names for what is done often. `just` comes with `cargo install just`, or apt, brew and the like; each line
# below can be typed by hand just as well.

# Show this list
default:
    @just --list --unsorted

# Build the three binaries
build:
    cargo build --release

# Run `plait` with these words: `just cluster up`, `just cluster status`, `just cluster kill n2`
cluster *words: build
    ./target/release/plait {{words}}

# Every check; `just test fmt unit` runs these steps alone
test *steps:
    ./tests/run {{steps}}

# What CI runs: as `test`, and a missing tool is a failure
ci:
    ./.ci/run

# Format, then lint as CI does
lint:
    cargo fmt --all
    cargo clippy --profile sim --workspace --all-targets --features plait-chaos/zoo,plait-host/zoo -- -D warnings

# The simulator: `just chaos run --seed 7`, `just chaos hunt --seeds 1..1000`
chaos *words:
    cargo run --profile sim -p plait-chaos --features zoo -- {{words}}

# Every planted bug, and the median seed at which it is found
zoo *words:
    cargo run --profile sim -p plait-chaos --features zoo -- zoo {{words}}

# The API's documentation, in a browser
doc:
    cargo doc --no-deps --workspace --open

# Write proto/src/gen anew after a change in proto/proto
proto:
    cargo run --manifest-path proto/gen/Cargo.toml --target-dir target/proto-gen

# Write the golden files anew; the diff is the review
golden:
    PLAIT_WRITE_GOLDEN=1 cargo test --workspace --exclude plait-tests golden format

# Licences, bans and sources, with cargo-deny (tests/it/tidy.rs checks the same without it)
deny:
    cargo deny check licenses bans sources

# Known flaws in dependencies; needs the advisory database from the network
advisories:
    cargo deny check advisories
