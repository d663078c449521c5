-- Decodes /sys/block/sda/stat, the statistics of one block device of a Linux system.
--
-- Configuration ([NAME.config]):
--   payload_keep  bool, false   keeps the text as Payload
--
--   [DiskStats]
--   type = "FilePollingInput"
--   ticker_interval = 5
--   file_path = "/sys/block/sda/stat"
--   decoder = "DiskStatsDecoder"
--
--   [DiskStatsDecoder]
--   type = "SandboxDecoder"
--   filename = "lua_decoders/linux_diskstats.lua"
--
-- Message: Type "stats.diskstats"; the DOUBLE fields ReadsCompleted, ReadsMerged, SectorsRead, TimeReading,
-- WritesCompleted, WritesMerged, SectorsWritten, TimeWriting, NumIOInProgress, TimeDoingIO, WeightedTimeDoingIO; on
-- newer kernels also DiscardsCompleted, DiscardsMerged, SectorsDiscarded, TimeDiscarding, FlushesCompleted,
-- TimeFlushing; and FilePath and TickerInterval if the input gave them. Text of another form fails with status -1.

local l = require "lpeg"

local P, R, S, Cg, Ct = l.P, l.R, l.S, l.Cg, l.Ct
local ipairs, read_message, inject_message, pcall = ipairs, read_message, inject_message, pcall

local space = S " \t"
local integer = R "09" ^ 1 / tonumber

local function columns(...)
    local pattern = P(true)
    for _, name in ipairs { ... } do pattern = pattern * space ^ 0 * Cg(integer, name) end
    return pattern
end

-- Linux 4.18 added the columns of discards, 5.5 those of flushes; later ones are left out.
local grammar = Ct(columns("ReadsCompleted", "ReadsMerged", "SectorsRead", "TimeReading", "WritesCompleted",
        "WritesMerged", "SectorsWritten", "TimeWriting", "NumIOInProgress", "TimeDoingIO", "WeightedTimeDoingIO")
    * (columns("DiscardsCompleted", "DiscardsMerged", "SectorsDiscarded", "TimeDiscarding")
        * columns("FlushesCompleted", "TimeFlushing") ^ -1) ^ -1
    * (space + R "09") ^ 0 * "\n")

local payload_keep = read_config("payload_keep")

-- Every message goes out through this one table.
local msg = { Type = "stats.diskstats", Payload = nil, Fields = nil }

function process_message()
    local payload = read_message("Payload")
    local fields = grammar:match(payload)
    if not fields then return -1 end

    fields.FilePath = read_message("Fields[FilePath]")
    fields.TickerInterval = read_message("Fields[TickerInterval]")
    if payload_keep then msg.Payload = payload end
    msg.Fields = fields
    local good, err = pcall(inject_message, msg)
    if not good then return -1, err end
    return 0
end
