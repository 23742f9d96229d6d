# Short names for what one does every day. `just` alone lists them.

[private]
default:
    @just --list --unsorted

# Everything that CI checks
test:
    scripts/test

# Format and lints only
lint:
    cargo fmt --all --check
    cargo clippy --locked --workspace --all-targets -- -D warnings

# Two throw-away nodes on this machine
demo:
    cargo run --release -- demo

# Figures: time, throughput, memory
bench *args:
    scripts/bench {{args}}

# The parsers, fed with what nobody would send
fuzz *args:
    scripts/fuzz {{args}}

# The pictures in docs/pictures, from the program itself
pictures:
    scripts/pictures

# The generated documents
docs:
    cargo run -q -- docs cli > docs/CLI.md
    cargo run -q -- docs api > docs/API.md
    cargo run -q -- docs keys > docs/KEYS.md
