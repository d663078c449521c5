-- The decoders of Linux statistics: linux_loadavg, linux_memstats, linux_diskstats, linux_procstat, linux_netstat,
-- linux_netdev.

if arg then package.path = string.gsub(arg[0], "[^/]*$", "?.lua;") .. package.path end
local harness = require "harness"
local test, equal = harness.test, harness.equal
local field, fields = harness.field, harness.fields

local function run(name, text, config, input)
    input = input or { FilePath = "/f" }
    return harness.load("lua_decoders/linux_" .. name .. ".lua", config):decode { Payload = text, Fields = input }
end

local function decode(...)
    local messages, err = run(...)
    return messages and messages[1], err
end

test("load averages", function()
    local m = decode("loadavg", "0.00 0.01 0.05 3/153 660\n")
    equal(m.Type, "stats.loadavg")
    equal(fields(m), { ["1MinAvg"] = 0, ["5MinAvg"] = 0.01, ["15MinAvg"] = 0.05, NumProcesses = 3, FilePath = "/f" })
    equal({ decode("loadavg", "x") }, { nil, "Failed parsing:  payload: x" })
    equal(decode("loadavg", "0.00 0.01 0.05 3/153 660\n", { payload_keep = true }, {}).Payload, "0.00 0.01 0.05 3/153 660\n")
    equal(fields(decode("loadavg", "1.50 0.01 0.05 3/153 660\n", {}, {})).FilePath, nil)
end)

test("memory", function()
    local m = decode("memstats", "MemTotal:        4047616 kB\nActive(anon):   3 kB\nHugePages_Free:        0\n")
    equal(m.Type, "stats.memstats")
    equal(fields(m), { MemTotal = 4047616, ["Active(anon)"] = 3, HugePages_Free = 0, FilePath = "/f" })
    equal(field(m, "MemTotal").representation, "kB")
    equal(field(m, "HugePages_Free").representation, "")
    equal({ decode("memstats", "x") }, { nil, "Failed parsing:  payload: x" })
end)

local DISK = { "ReadsCompleted", "ReadsMerged", "SectorsRead", "TimeReading", "WritesCompleted", "WritesMerged",
    "SectorsWritten", "TimeWriting", "NumIOInProgress", "TimeDoingIO", "WeightedTimeDoingIO", "DiscardsCompleted",
    "DiscardsMerged", "SectorsDiscarded", "TimeDiscarding", "FlushesCompleted", "TimeFlushing" }

test("disks, on kernels of every age", function()
    for _, count in ipairs { 11, 15, 17, 19 } do
        local text, expected = "", { FilePath = "/f", TickerInterval = 5 }
        for i = 1, count do
            text = text .. string.format("%8d ", i)
            if DISK[i] then expected[DISK[i]] = i end
        end
        local m = decode("diskstats", text .. "\n", {}, { FilePath = "/f", TickerInterval = { value = 5, value_type = 2 } })
        equal(fields(m), expected, "columns " .. count)
        equal(m.Type, "stats.diskstats")
    end
    equal({ decode("diskstats", "1 2 3\n") }, { nil, "Failed parsing:  payload: 1 2 3\n" })
    equal({ decode("diskstats", "1 2 3 4 5 6 7 8 9 10 11") },
        { nil, "Failed parsing:  payload: 1 2 3 4 5 6 7 8 9 10 11" })
end)

test("kernel activity", function()
    local m = decode("procstat", "cpu  80 5 7\ncpu0 80 5 7\nintr 3\nctxt 9\nbtime 1\nprocs_running 2\nsoftirq 1 2\n")
    equal(m.Type, "stats.procstat")
    equal(fields(m), { cpu = { 80, 5, 7 }, cpu0 = { 80, 5, 7 }, intr = 3, ctxt = 9, btime = 1, procs_running = 2,
        softirq = { 1, 2 } })
    equal({ decode("procstat", "x") }, { nil, "Failed parsing:  payload: x" })
end)

local NETSTAT = "TcpExt: SyncookiesSent EmbryonicRsts\nTcpExt: 1 20\nIpExt: InNoRoutes InOctets\nIpExt: 0 123456789012\n"

test("network counters", function()
    local m = decode("netstat", NETSTAT)
    equal(m.Type, "stats.netstat")
    equal(fields(m), { TcpExt_SyncookiesSent = 1, TcpExt_EmbryonicRsts = 20, IpExt_InNoRoutes = 0,
        IpExt_InOctets = 123456789012, FilePath = "/f" })
    equal(field(m, "IpExt_InOctets").value_type, 2)
    -- The -1 of /proc/net/snmp ends neither its protocol nor the ones behind it.
    m = decode("netstat", "Tcp: RtoMin MaxConn ActiveOpens\nTcp: 200 -1 7\nUdp: InDatagrams\nUdp: 3\n")
    equal(fields(m), { Tcp_RtoMin = 200, Tcp_MaxConn = -1, Tcp_ActiveOpens = 7, Udp_InDatagrams = 3, FilePath = "/f" })
    equal({ decode("netstat", "x") }, { nil, "Failed parsing: Failed to match grammar payload: x" })
end)

local NETDEV = [[
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo: 1832   24    0    0    0     0          0         0     1832      24    0    0    0     0       0          0
br-1a2b:4294967296 2 0 0 0 0 0 0 9 1 0 0 0 0 0 0
eth0.5: 7 6 5 4 3 2 1 0 8 7 6 5 4 3 2 1
eth0:1: 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 2
]]

test("network interfaces, one message each", function()
    local messages = run("netdev", NETDEV)
    local names = {}
    for i, m in ipairs(messages) do
        equal(m.Type, "stats.netdev")
        names[i] = fields(m).netdevice
    end
    equal(names, { "lo", "br-1a2b", "eth0.5", "eth0:1" })
    equal(fields(messages[3]), { netdevice = "eth0.5", FilePath = "/f", receive_bytes = 7, receive_packets = 6,
        receive_errs = 5, receive_drop = 4, receive_fifo = 3, receive_frame = 2, receive_compressed = 1,
        receive_multicast = 0, transmit_bytes = 8, transmit_packets = 7, transmit_errs = 6, transmit_drop = 5,
        transmit_fifo = 4, transmit_colls = 3, transmit_carrier = 2, transmit_compressed = 1 })
    equal(field(messages[2], "receive_bytes"), { name = "receive_bytes", value = { 4294967296 }, value_type = 2 })
    equal(fields(messages[2]).receive_packets, 2)
    equal({ decode("netdev", "x") }, { nil, "Failed parsing: Failed to match grammar payload: x" })
end)

test("payload_keep keeps the text", function()
    for name, text in pairs { loadavg = "0.00 0.01 0.05 3/153 660\n", memstats = "A:1 kB\n", procstat = "a 1\n",
        diskstats = "1 2 3 4 5 6 7 8 9 10 11\n" } do
        equal(decode(name, text, { payload_keep = true }).Payload, text, name)
        equal(decode(name, text).Payload, nil, name)
    end
    equal(decode("netstat", "T: a\nT: 1\n", { payload_keep = true }).Payload, nil)
end)

test("short names and single values", function()
    equal(fields(decode("netstat", "T: a\nT: 1\n")), { T_a = 1, FilePath = "/f" })
    equal(fields(run("netdev", "t\nface|r|s\na:1 2\n")[1]), { netdevice = "a", receive_r = 1, transmit_s = 2,
        FilePath = "/f" })
end)

harness.finish()
