#!/bin/sh
# Installs Debian packages whose services neither start now nor with the machine. What ran before goes on.
# usage: install-packages.sh POLICY PACKAGE…      (as root; POLICY is where invoke-rc.d looks for one)
set -eu
export DEBIAN_FRONTEND=noninteractive

policy=$1
shift
mark='# of landfall'"'"'s setup, for the time of one installation'
units() {
    find /lib/systemd/system /usr/lib/systemd/system -maxdepth 1 -name '*.service' 2>/dev/null |
        sed 's#.*/##' | sort -u
}

# The policy that invoke-rc.d asks: 101 means no service may start. One that is already there stays, unless an
# installation of ours that was killed has left it.
if [ ! -e "$policy" ] || grep -qF "$mark" "$policy"; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 130' HUP INT TERM
    printf '#!/bin/sh\n%s\nexit 101\n' "$mark" >"$policy"
    chmod 755 "$policy"
fi

before=$(units)
# one repository that fails, of all that the machine has, need not matter: the installation will tell
apt-get -o DPkg::Lock::Timeout=300 update || echo "apt-get update failed; going on with the lists that are there"
apt-get -o DPkg::Lock::Timeout=300 install --yes --no-install-recommends "$@"

if command -v systemctl >/dev/null; then
    for unit in $(units); do
        case "
$before
" in
        *"
$unit
"*) ;;
        *) systemctl disable --quiet "$unit" || echo "$unit stays as it is" ;;
        esac
    done
fi
