-- What each column of the views means, so that `DESCRIBE TABLE events` says it: a view has none of its tables' comments.

ALTER TABLE events
    COMMENT COLUMN workspace 'The client of the installation',
    COMMENT COLUMN subscriber 'Opaque id of the person, or of a device not yet known',
    COMMENT COLUMN event_id 'The sender''s id of the event',
    COMMENT COLUMN action 'What was done, past tense',
    COMMENT COLUMN occurred_at 'When, by the sender''s clock, corrected',
    COMMENT COLUMN order_no 'Order among events of one instant',
    COMMENT COLUMN session 'Id of the session, empty where it was not matched',
    COMMENT COLUMN reason 'Why it was not matched (late, duplicate, ...); empty where it was',
    COMMENT COLUMN trust 'browser, token or server',
    COMMENT COLUMN stitched 'From before the device became this person''s',
    COMMENT COLUMN provisional 'A click that may still prove a scanner''s',
    COMMENT COLUMN verdict 'Of a click: confirmed or machine, and why',
    COMMENT COLUMN new_device 'A token of another person came on a known device',
    COMMENT COLUMN site 'The website',
    COMMENT COLUMN device 'Id of the browser''s storage',
    COMMENT COLUMN path 'properties.path',
    COMMENT COLUMN campaign 'properties.campaign',
    COMMENT COLUMN sku 'properties.sku',
    COMMENT COLUMN category 'properties.category',
    COMMENT COLUMN value 'properties.value',
    COMMENT COLUMN properties 'All properties as JSON',
    COMMENT COLUMN received_at 'When the collector took it',
    COMMENT COLUMN logged_at 'When the log took it',
    COMMENT COLUMN source_partition 'Partition of beacons that it came from',
    COMMENT COLUMN source_offset 'Offset there';

ALTER TABLE sessions
    COMMENT COLUMN workspace 'The client of the installation',
    COMMENT COLUMN subscriber 'Opaque id of the person',
    COMMENT COLUMN session 'Id of the session',
    COMMENT COLUMN started_at 'Its first event',
    COMMENT COLUMN ended_at 'Its last event so far',
    COMMENT COLUMN events 'How many events',
    COMMENT COLUMN landing_path 'Path of its first page',
    COMMENT COLUMN campaign 'The campaign that brought it';

ALTER TABLE matches
    COMMENT COLUMN workspace 'The client of the installation',
    COMMENT COLUMN subscriber 'Opaque id of the person',
    COMMENT COLUMN listener 'Whose row of actions completed',
    COMMENT COLUMN match_id 'Deterministic id of the match',
    COMMENT COLUMN listener_version 'Which version of it',
    COMMENT COLUMN matched_at 'Event time of completion',
    COMMENT COLUMN reason 'Why no command came of it; empty where one did',
    COMMENT COLUMN evidence_step 'Step of each piece of evidence',
    COMMENT COLUMN evidence_event_id 'Event of each piece of evidence',
    COMMENT COLUMN evidence_action 'Its action',
    COMMENT COLUMN evidence_at 'When it occurred',
    COMMENT COLUMN logged_at 'Log time of the decision',
    COMMENT COLUMN state 'stands, retracted or replaced';

ALTER TABLE moves
    COMMENT COLUMN workspace 'The client of the installation',
    COMMENT COLUMN subscriber 'Opaque id of the person',
    COMMENT COLUMN command_id 'Deterministic id of the command',
    COMMENT COLUMN account 'Login at an email platform',
    COMMENT COLUMN verb 'move, add, remove, tag, untag or webhook',
    COMMENT COLUMN to_list 'List to be in',
    COMMENT COLUMN from_list 'List to be out of',
    COMMENT COLUMN tag 'Of tag and untag',
    COMMENT COLUMN undoes 'The command that this one takes back',
    COMMENT COLUMN listener 'Whose response it is',
    COMMENT COLUMN listener_version 'Which version of it',
    COMMENT COLUMN match_id 'The match that asked for it',
    COMMENT COLUMN position 'Place among the listener''s responses',
    COMMENT COLUMN matched_at 'Event time of completion',
    COMMENT COLUMN received_at 'When the collector took the completing event; null where a deadline completed',
    COMMENT COLUMN logged_at 'Log time of the decision',
    COMMENT COLUMN evidence_step 'Step of each piece of evidence',
    COMMENT COLUMN evidence_event_id 'Event of each piece of evidence',
    COMMENT COLUMN evidence_action 'Its action',
    COMMENT COLUMN evidence_at 'When it occurred',
    COMMENT COLUMN result 'applied, already, skipped or failed; waiting until the platform has answered',
    COMMENT COLUMN reason 'Why it was skipped or failed',
    COMMENT COLUMN answer 'The platform''s answer in a few words',
    COMMENT COLUMN changed 'What the call changed: +list and -list',
    COMMENT COLUMN calls 'Attempts',
    COMMENT COLUMN answered_at 'When the platform had answered; null while it waits';

ALTER TABLE membership_changes
    COMMENT COLUMN workspace 'The client of the installation',
    COMMENT COLUMN account 'Login at an email platform',
    COMMENT COLUMN list 'The list',
    COMMENT COLUMN subscriber 'Opaque id of the person',
    COMMENT COLUMN at 'When it changed',
    COMMENT COLUMN member 'Whether the person is in the list from then on',
    COMMENT COLUMN place 'Order in one instant: a baseline is 0',
    COMMENT COLUMN command_id 'The command; empty for a baseline';

ALTER TABLE memberships
    COMMENT COLUMN workspace 'The client of the installation',
    COMMENT COLUMN account 'Login at an email platform',
    COMMENT COLUMN list 'The list',
    COMMENT COLUMN subscriber 'Opaque id of the person',
    COMMENT COLUMN valid_from 'From then on in the list',
    COMMENT COLUMN valid_to 'Until then; null where they still are',
    COMMENT COLUMN command_id 'The command that put them there; empty for an import';

ALTER TABLE runs
    COMMENT COLUMN workspace 'The client of the installation',
    COMMENT COLUMN listener 'Whose runs',
    COMMENT COLUMN listener_version 'Of which version of it',
    COMMENT COLUMN element 'Number, from 1, of the element of the sequence that is waited for',
    COMMENT COLUMN log_partition 'Partition of events that the people belong to',
    COMMENT COLUMN key_group 'Key group in that partition',
    COMMENT COLUMN at 'Log time, a whole minute',
    COMMENT COLUMN elements 'How many elements the sequence has',
    COMMENT COLUMN step 'The element as evidence calls it: its name, or else its number',
    COMMENT COLUMN waits_for 'What is waited for, in a word',
    COMMENT COLUMN runs 'Runs of this key group that wait for it, from then on',
    COMMENT COLUMN subscribers 'People whose runs they are';

ALTER TABLE dead_letters
    COMMENT COLUMN workspace 'The client of the installation; empty where it is not known',
    COMMENT COLUMN site 'The website; empty where it is not known',
    COMMENT COLUMN reason 'Closed reason, docs/reasons.md',
    COMMENT COLUMN topic 'Where it came from; http for what never reached the log',
    COMMENT COLUMN partition 'Partition there, or -1',
    COMMENT COLUMN offset 'Offset there, or -1',
    COMMENT COLUMN at 'When it was set aside',
    COMMENT COLUMN detail 'What was wrong',
    COMMENT COLUMN key 'Key of the record, as text',
    COMMENT COLUMN sample 'The record''s beginning, as text; bytes that are no UTF-8 as \\xNN',
    COMMENT COLUMN size 'Whole length of the record in bytes',
    COMMENT COLUMN letter_offset 'Offset in dead_letters';
