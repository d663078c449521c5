-- Decodes lines that rsyslog wrote, by the template that it was given.
--
-- Configuration ([NAME.config]):
--   template       string, required   rsyslog's own template text
--   type           string, none       Type of the messages; without it the input's Type stays
--   hostname_keep  bool, false        leaves the header Hostname alone and keeps hostname and source as fields
--   tz             string, "UTC"      applied by the host: the zone in which time stamps are read
--
--   [RsyslogDecoder]
--   type = "SandboxDecoder"
--   filename = "lua_decoders/rsyslog.lua"
--     [RsyslogDecoder.config]
--     type = "RSYSLOG_TraditionalFileFormat"
--     template = '%TIMESTAMP% %HOSTNAME% %syslogtag%%msg:::sp-if-no-1st-sp%%msg:::drop-last-lf%\n'
--     tz = "America/Los_Angeles"
--
-- A template that ends in \n needs lines that end so: the splitter must keep the delimiter.
--
-- Message: Timestamp, Hostname, Severity (of pri, syslogseverity or syslogpriority), Pid and the field programname (of
-- syslogtag), Payload (msg), the fields syslogfacility and those of the other properties. structured-data becomes a
-- field "structured-data.ID.PARAMETER" for each parameter. A line that does not match fails with status -1.

local build_grammar = require "syslog".build_rsyslog_grammar

local read_message, inject_message = read_message, inject_message
local ipairs, pairs, pcall = ipairs, pairs, pcall

local string = require "string"
local sub = string.sub

local grammar = build_grammar(read_config("template"))
local hostname_keep = read_config("hostname_keep")

-- Every message goes out through this one table.
local msg = {
    Timestamp = nil, Type = read_config("type"), Hostname = nil, Payload = nil, Pid = nil, Severity = nil, Fields = nil,
}

local SEVERITIES = { "syslogseverity", "syslogseverity-text", "syslogpriority", "syslogpriority-text" }

local function add_element(fields, element)
    local prefix = "structured-data." .. element.id .. "."
    local empty = true
    for name, value in pairs(element) do
        if name ~= "id" and sub(name, 1, 1) == "_" then
            fields[prefix .. sub(name, 2)] = value
            empty = false
        end
    end
    if empty then fields["structured-data." .. element.id] = "" end
end

local function flatten_structured_data(fields, data)
    fields["structured-data"] = nil
    if not data.id then return end
    add_element(fields, data)
    for _, element in ipairs(data) do add_element(fields, element) end
end

function process_message()
    local fields = grammar:match(read_message("Payload"))
    if not fields then return -1 end

    msg.Timestamp = fields.timestamp
    fields.timestamp = nil

    local pri = fields.pri
    if pri then
        msg.Severity = pri.severity
        fields.syslogfacility = pri.facility
        fields.pri = nil
    else
        local severity
        for _, name in ipairs(SEVERITIES) do
            severity = severity or fields[name]
            fields[name] = nil
        end
        msg.Severity = severity
    end
    local pri_text = fields["pri-text"]
    if pri_text then fields["pri-text"] = pri_text.facility end

    local tag = fields.syslogtag
    if tag then
        fields.programname = tag.programname
        msg.Pid = tag.pid
        fields.syslogtag = nil
    end

    if not hostname_keep then
        msg.Hostname = fields.hostname or fields.source
        fields.hostname, fields.source = nil, nil
    end

    local data = fields["structured-data"]
    if data then flatten_structured_data(fields, data) end

    msg.Payload = fields.msg
    fields.msg = nil
    msg.Fields = fields
    local good, err = pcall(inject_message, msg)
    if not good then return -1, err end
    return 0
end
