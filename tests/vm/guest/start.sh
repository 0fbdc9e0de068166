# SPDX-License-Identifier: BSD-3-Clause
# Runs /job/case.sh with the helpers of lib.sh. The first command that fails ends the case.
. /lib/vm/lib.sh
last='(nothing)'
ended() {
	rc=$?
	case $rc in
	0) ;;
	77) ;;
	99) rc=1 ;; # fail() has said why
	*) echo "vm: FAIL: status $rc; the last \"run\" was: $last" ;;
	esac
	exit $rc
}
trap ended EXIT
set -eu
. /job/case.sh
