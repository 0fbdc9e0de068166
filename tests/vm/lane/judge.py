# SPDX-License-Identifier: BSD-3-Clause
"""Why a case failed, from what it left behind. Everything is looked at: a guest may say "passed" while its kernel, its IOMMU or the
device model say otherwise."""
import os
import re

KERNEL = re.compile(r'DMAR:.*fault|DMAR:.*(Invalidation|Present bit)|BUG:|WARNING:|KASAN|\bOops\b|general protection fault|Kernel panic|'
                    r'segfault at|trap invalid opcode|Out of memory|blocked for more than|INFO: task|irq \d+: nobody cared')
REPORTS = re.compile(r'(Address|Leak|Thread|Memory|UndefinedBehavior)Sanitizer|runtime error:|broken invariant|Kernel panic|'
                     r'Assertion .* failed|BUG:|WARNING:|\bOops\b')
SAID = re.compile(r'vm: (FAIL|SKIP): (.*)')
PASSED, SKIPPED = 0, 77


def read(folder, name):
    try:
        with open(os.path.join(folder, name), encoding='utf-8', errors='replace') as f:
            return f.read().replace('\r', '').splitlines()
    except OSError:
        return []


def first_bad(lines, pattern, allowed):
    """The first line that matches and is not expected, with the number of its like."""
    bad = [line for line in lines if pattern.search(line) and not any(a.search(line) for a in allowed)]
    return (bad[0].strip(), len(bad)) if bad else None


def trace_events(lines):
    """What QEMU holds against the guest, without what is in front of a name: "pid@time:pci_nvme_ub_db_wr_invalid_sq ..."."""
    return [re.sub(r'^\d+@[\d.]+:', '', line) for line in lines if re.match(r'^(\d+@[\d.]+:)?pci_nvme_(ub|err)', line)]


def verdict(status):
    """The guest's own exit status out of QEMU's, or None."""
    return (status - 33) // 2 if status is not None and status >= 33 and status % 2 else None


def judge(case, folder, status, timed_out, problems):
    """("passed" | "failed" | "skipped", [reasons]). `status` is QEMU's; `problems` are those of the host part."""
    serial, dmesg = read(folder, 'serial.log'), read(folder, 'dmesg.log')
    said = [match.groups() for match in map(SAID.search, serial) if match]
    reasons, guest = list(problems), verdict(status)
    if timed_out:
        reasons.append('timeout: no verdict in %.0f s' % timed_out)
    elif guest is None:
        reasons.append('no verdict: QEMU ended with status %s%s' % (status, ''.join(': ' + line for line in read(folder, 'qemu.log')[-1:])))
    elif guest not in (PASSED, SKIPPED):
        texts = [text for kind, text in said if kind == 'FAIL']
        reasons.append('guest: ' + (texts[0] if texts else 'status %d' % guest))
    for what, lines, pattern, allowed in (
            ('device', trace_events(read(folder, 'trace.log')), re.compile('.'), case.allow['trace']),
            ('dmesg', dmesg, KERNEL, case.allow['dmesg']),
            ('serial', serial, REPORTS, case.allow['serial'])):
        bad = first_bad(lines, pattern, allowed)
        if bad:
            reasons.append('%s: %s%s' % (what, bad[0][:200], ' (and %d more)' % (bad[1] - 1) if bad[1] > 1 else ''))
    # A kernel that says nothing at all was not watched.
    if guest is not None and not any('vm: the case is over' in line for line in dmesg):
        reasons.append('dmesg: it ends early, so that nothing in it can be relied on')
    if reasons:
        return 'failed', reasons
    if guest == SKIPPED:
        return 'skipped', [text for kind, text in said if kind == 'SKIP'] or ['the guest gave no reason']
    return 'passed', []
