#!/usr/bin/env perl
# Emits one event by POST /emit: emit.pl EVENT ROOM [JSON [KEEP [KEY]]]. An empty ROOM is everybody.
# KEEP is true, false or seconds, empty for none: whether ws-emit keeps the event for clients that join later, one for
# each KEY.
# Environment: WS_EMIT_URL (http://localhost:8899), SECRET, the one that ws-emit was started with. Needs nothing but Perl.
use strict;
use warnings;
use Encode qw(decode);
use HTTP::Tiny;
use JSON::PP;

sub fail {
    my ($code, $sentence) = @_;
    print STDERR "emit.pl: $sentence\n";
    exit $code;
}

fail(64, "usage: emit.pl EVENT ROOM [JSON [KEEP [KEY]]]") unless @ARGV >= 2 && @ARGV <= 5;
my ($event, $room, $json, $keep, $key) = @ARGV;
my $secret = $ENV{SECRET} || fail(64, "SECRET is not set: it is the one that ws-emit was started with");
my ($data, $kept) = eval {
    map { JSON::PP->new->utf8->allow_nonref->decode($_) } $json // "null", ($keep // "") eq "" ? "null" : $keep;
};
fail(65, "the JSON is not valid: " . $@ =~ s/ at \S+ line \d+\.?\n//r) if $@;
my $body = JSON::PP->new->utf8->encode({
    event => decode("UTF-8", $event), room => decode("UTF-8", $room), data => $data, keep => $kept,
    key => decode("UTF-8", $key // ""), secret => decode("UTF-8", $secret),
});

my $url = ($ENV{WS_EMIT_URL} || "http://localhost:8899") . "/emit";
my $answer = HTTP::Tiny->new(timeout => 10)->post(
    $url, { headers => { "Content-Type" => "application/json" }, content => $body });
# HTTP::Tiny's own status for what never got an answer.
fail(69, "nothing answers at $url") if $answer->{status} == 599;
my $sentence = eval { JSON::PP->new->decode($answer->{content})->{error} } // $answer->{content};
fail(69, "ws-emit says: " . $sentence =~ s/\s+$//r) unless $answer->{success};
print $answer->{content};
