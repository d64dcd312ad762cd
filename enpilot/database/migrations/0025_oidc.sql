-- Who a person is to an identity provider: its subject, once a verified address led to the login.
CREATE TABLE person_identity (
    issuer text NOT NULL,
    subject text NOT NULL,
    person_id integer NOT NULL REFERENCES person,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (issuer, subject)
);
CREATE INDEX person_identity_person ON person_identity (person_id);
