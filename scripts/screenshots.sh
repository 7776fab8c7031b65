#!/bin/sh
# Makes the pictures of the README anew, out of `tributary demo` in a real Chromium.
set -eu
cd "$(dirname "$0")/.."
./scripts/setup-test.sh
cargo nextest run --locked -E 'test(whoever_tries_it_is_signed_in)'
cp "$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/tmp/screenshots/demo_console.png" docs/images/console.png
