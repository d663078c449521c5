-- Keeps the annotations of graphs, and writes them as the first line of a circular buffer's payload.
--
-- Configuration: none. Use, in a filter:
--   local annotation = require "annotation"
--   annotation.set_prune("graph", rows * sec_per_row * 1e9)
--   annotation.add("graph", ns, 1, "A", "what happened")
--   inject_payload("cbuf", "graph", annotation.prune("graph", ns), cbuf)
--
-- State: the global _ANNOTATIONS[name] = {annotations = {..}, prune_duration = ns}; preserve_data keeps it.

local cjson = require "cjson"
local math = require "math"
local table = require "table"

local _G = _G
local encode, floor = cjson.encode, math.floor
local ipairs = ipairs

_ANNOTATIONS = {}

local M = {}

local DAY = 86400e9

local function entry(name)
    local one = _G._ANNOTATIONS[name]
    if not one then
        one = { annotations = {}, prune_duration = DAY }
        _G._ANNOTATIONS[name] = one
    end
    return one
end

--- An annotation as the dashboard reads it: time in ms, column, the letter on the graph, the text behind it.
function M.create(ns, col, short_text, text)
    return { x = floor(ns / 1e6), col = col, shortText = short_text, text = text }
end

--- Adds one annotation to the graph `name`.
function M.add(name, ns, col, short_text, text)
    local list = entry(name).annotations
    list[#list + 1] = M.create(ns, col, short_text, text)
end

--- Adds an array of annotations to the graph `name`; nil adds nothing.
function M.concat(name, annotations)
    if not annotations then return end
    local list = entry(name).annotations
    for _, one in ipairs(annotations) do list[#list + 1] = one end
end

--- Forgets the annotations of the graph `name`.
function M.remove(name)
    _G._ANNOTATIONS[name] = nil
end

--- Sets how long annotations of the graph `name` live, in ns; a day unless set.
function M.set_prune(name, ns)
    entry(name).prune_duration = ns
end

--- Drops what is too old at the time `ns` and returns the rest as a line of JSON; nothing for an unknown graph.
function M.prune(name, ns)
    local one = _G._ANNOTATIONS[name]
    if not one then return end
    local list, kept = one.annotations, 0
    for i = 1, #list do
        local annotation = list[i]
        list[i] = nil
        if annotation.x * 1e6 + one.prune_duration > ns then
            kept = kept + 1
            list[kept] = annotation
        end
    end
    return encode({ annotations = list }) .. "\n"
end

return M
