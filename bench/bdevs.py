# SPDX-License-Identifier: BSD-3-Clause
"""Block devices: the file device against fio's io_uring engine on the same file, and what grows with the number of devices."""
import json
import os
import shutil
import statistics
import subprocess
import tempfile

FILE_BYTES = 256 << 20


def output(command, timeout):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=timeout, check=False)
    if done.returncode:
        raise RuntimeError('%s: %s' % (os.path.basename(command[0]), done.stderr.strip() or done.stdout.strip()))
    return done.stdout


def nvio_rate(program, path, depth, ms, way, rw):
    found = json.loads(output([program, path, str(depth), str(ms), way] + (['write'] if rw == 'randwrite' else []), 60))
    if found['engine'] != 'io_uring' or found['direct'] != (way == 'direct'):
        raise RuntimeError('the device came up with %(engine)s and direct %(direct)s' % found)
    return found['iops']


def fio_rate(path, depth, ms, way, rw):
    command = ['fio', '--name=bench', '--filename=' + path, '--ioengine=io_uring', '--rw=' + rw, '--bs=4k', '--iodepth=%d' % depth,
               '--iodepth_batch_complete_min=0', '--direct=%d' % (way == 'direct'), '--time_based', '--runtime=%dms' % ms, '--size=%d' % FILE_BYTES,
               '--norandommap', '--randrepeat=1', '--thread', '--invalidate=0', '--output-format=json', '--overwrite=1', '--allow_file_create=0']
    job = json.loads(output(command, 60))['jobs'][0]
    return job['write' if rw == 'randwrite' else 'read']['iops']


def run_file(program, table_class, rounds, ms):
    """Taking turns, so that both meet the same machine; the ratio is that of each round."""
    if not shutil.which('fio'):
        return {'skipped': 'fio is not installed (apt-get install fio)'}
    table = table_class('The file device and fio (io_uring), the same file, 4 KiB at random; medians of %d rounds of %d ms' % (rounds, ms),
                        '', 'depth', 'nvio', 'fio', 'share', 'bar', '')
    results = []
    folder = '/var/tmp' if os.access('/var/tmp', os.W_OK) else tempfile.gettempdir()
    with tempfile.NamedTemporaryFile(dir=folder, prefix='nvio-bench-') as image:
        for _ in range(FILE_BYTES >> 20):
            image.write(os.urandom(1 << 20))
        image.flush()
        os.fsync(image.fileno())
        for way in ('buffered', 'direct'):
            for rw, depth in (('randread', 1), ('randread', 32), ('randread', 128), ('randwrite', 32)):
                turns = []
                for number in range(rounds):
                    both = [lambda: nvio_rate(program, image.name, depth, ms, way, rw), lambda: fio_rate(image.name, depth, ms, way, rw)]
                    if number % 2:
                        theirs, ours = both[1](), both[0]()
                    else:
                        ours, theirs = both[0](), both[1]()
                    turns.append((ours, theirs))
                share = statistics.median(a / b for a, b in turns)
                ours, theirs = (statistics.median(t[i] for t in turns) for i in (0, 1))
                good = share >= 1
                table.add('%s, %s' % (rw, way), depth, '%.0f k' % (ours / 1e3), '%.0f k' % (theirs / 1e3), '%.0f %%' % (share * 100), '>= 100 %',
                          'PASS' if good else 'below bar')
                results.append({'rw': rw, 'way': way, 'depth': depth, 'iops': ours, 'fio': theirs, 'ratio': share, 'pass': good})
    table.print()
    return {'file': results}


def run_grow(program, table_class, most):
    rows = [json.loads(line) for line in output([program, str(most)], 240).splitlines()]
    table = table_class('Null block devices by their number; nanoseconds and bytes each', '', 'create', 'open by name', 'channel', 'an I/O', 'delete',
                        'device', 'descriptor', 'channel (bytes)')
    for row in rows:
        table.add(row['bdevs'], *['%.0f' % row[k] for k in ('create_ns', 'open_ns', 'channel_ns')], '%.1f' % row['io_ns'], '%.0f' % row['delete_ns'],
                  *['%.0f' % row[k] for k in ('device_bytes', 'desc_bytes', 'channel_bytes')])
    table.print()
    return {'grow': rows}
