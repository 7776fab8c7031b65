#!/bin/sh
# What the tests need: real servers from Debian packages, started by the tests themselves on loopback, and
# the test runner. Installs only what is missing; starts nothing.
set -eu
packages=""
need() { # need PACKAGE FILE: the package is missing if the file is
    [ -e "$2" ] || packages="$packages $1"
}
need dovecot-core /usr/sbin/dovecot
need dovecot-imapd /usr/lib/dovecot/imap
need dovecot-lmtpd /usr/lib/dovecot/lmtp
need postfix /usr/sbin/postfix
need clamav-daemon /usr/sbin/clamd
need systemd /usr/bin/systemd-analyze
need util-linux /usr/bin/setpriv
need chromium /usr/bin/chromium
need chromium-driver /usr/bin/chromedriver
# Pictures of pages are of no use without letters.
need fonts-liberation /usr/share/fonts/truetype/liberation
need fonts-noto-cjk /usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc
need fonts-noto-core /usr/share/fonts/truetype/noto/NotoSansArabic-Regular.ttf
ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || packages="$packages postgresql"
python3 -c "import ensurepip" >/dev/null 2>&1 || packages="$packages python3-venv"
if [ -n "$packages" ]; then
    echo "setup: installing$packages"
    sudo=""
    [ "$(id -u)" = 0 ] || sudo="sudo"
    $sudo apt-get update -q
    # Nothing is to start by itself, and Postfix is not to ask.
    echo "postfix postfix/main_mailer_type select No configuration" | $sudo debconf-set-selections
    # shellcheck disable=SC2086
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -q --no-install-recommends $packages </dev/null
fi
if ! cargo nextest --version >/dev/null 2>&1; then
    echo "setup: installing cargo-nextest"
    cargo install --locked cargo-nextest
fi
# Twilio's own library judges our signatures (tests/it/channel/twilio.rs). What it depends on is not needed for that.
python="$(dirname "$0")/../target/twilio-python"
if ! "$python/bin/python" -c "import twilio.request_validator" >/dev/null 2>&1; then
    echo "setup: installing Twilio's library for Python"
    python3 -m venv --clear "$python"
    "$python/bin/pip" install --quiet --no-deps --disable-pip-version-check twilio==9.13.0
fi
