#!/usr/bin/env bash
# install_services.sh NAME required|optional: see that a program is there; as root install it.
set -euo pipefail
name=$1
need=$2

present() {
    case $name in
        mosquitto) PATH="$PATH:/usr/sbin" command -v mosquitto > /dev/null ;;
        chromium) command -v chromium > /dev/null ;;
        openssl) command -v openssl > /dev/null ;;
        cjk-font) command -v fc-list > /dev/null && fc-list :lang=zh | grep -q . ;;
        *) echo "install_services.sh: no service $name" >&2; exit 2 ;;
    esac
}

packages() {
    case $name in
        mosquitto) echo mosquitto ;;
        chromium) echo chromium ;;
        openssl) echo openssl ;;
        cjk-font) echo fontconfig fonts-noto-cjk ;;
    esac
}

present && exit 0
read -r -a wanted <<< "$(packages)"
if [ "$(id -u)" -eq 0 ] && command -v apt-get > /dev/null; then
    echo "installing ${wanted[*]}"
    # Nothing may start by itself: the demo and the tests start their own, on their own ports.
    export DEBIAN_FRONTEND=noninteractive
    policy=/usr/sbin/policy-rc.d
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' > $policy
        chmod +x $policy
        trap 'rm -f $policy' EXIT
    fi
    apt-get update -qq || true
    apt-get install -y -qq --no-install-recommends "${wanted[@]}" > /dev/null || true
    present && exit 0
fi
[ "$need" = optional ] && exit 0
echo "missing: $name. Install it with: apt-get install ${wanted[*]}" >&2
exit 1
